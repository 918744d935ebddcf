"""edgeshuffle puts ShuffleNetV2 on ARM CPUs: export, quantization and trustworthy measurement."""

__version__ = "0.1.0"
