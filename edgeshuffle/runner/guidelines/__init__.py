"""The ShuffleNetV2 paper's guidelines, measured."""
