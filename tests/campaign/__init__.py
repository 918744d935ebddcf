"""The campaign: seeded hostile cases, kills and races, each judged by one oracle.

EDGESHUFFLE_CAMPAIGN_MINUTES=30 python -m pytest tests/campaign     fresh seeds, so long
cd tests && PYTHONPATH=.:.. python -m campaign FAMILY SEED          one case again, in full
"""
