// ONNX Runtime's outputs in Node.js: MODEL.onnx IMAGES.json, a list of {type, dims, data}.
const fs = require("fs");
const ort = require("onnxruntime-node");

async function main() {
  const [model, images] = process.argv.slice(2);
  const session = await ort.InferenceSession.create(model);
  const found = [];
  for (const { type, dims, data } of JSON.parse(fs.readFileSync(images))) {
    const kind = { float32: Float32Array, uint8: Uint8Array }[type];
    const tensor = new ort.Tensor(type, kind.from(data), dims);
    const made = await session.run({ [session.inputNames[0]]: tensor });
    found.push(Array.from(made[session.outputNames[0]].data));
  }
  console.log(JSON.stringify(found));
}

main();
