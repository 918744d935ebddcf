"""OpenCV's outputs of an ONNX file: `MODEL.onnx IMAGES.npz OUTPUTS.npy`, an image a time of `x`."""

import sys

import cv2
import numpy as np

model, images, written = sys.argv[1:]
net = cv2.dnn.readNetFromONNX(model)
found = []
for image in np.load(images)["x"]:
    net.setInput(image[None])
    found.append(net.forward().reshape(-1))
np.save(written, np.stack(found))
