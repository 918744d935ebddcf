"""MediaPipe's label of each picture: `MODEL.tflite PICTURES.npz`, (n, H, W, 3) uint8 `x`."""

import json
import sys

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

model, pictures = sys.argv[1:]
options = vision.ImageClassifierOptions(
    base_options=BaseOptions(model_asset_path=model), max_results=1
)
with vision.ImageClassifier.create_from_options(options) as classifier:
    labels = []
    for pixels in np.load(pictures)["x"]:
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
        (heads,) = classifier.classify(image).classifications
        labels.append(heads.categories[0].category_name)
print(json.dumps(labels))
