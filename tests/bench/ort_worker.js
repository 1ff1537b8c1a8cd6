/* A network in ONNX Runtime, as a worker beside `EXE bench --worker`.
 *
 *   node ort_worker.js FILE.onnx THREADS BATCH CHANNELS HEIGHT WIDTH
 *
 * Prints {"ready": true}, then answers each line "run N" with {"ms": [N times]}. */
'use strict';
const ort = require('onnxruntime-node');
const readline = require('readline');

async function main() {
  const [file, threads, ...shape] = process.argv.slice(2);
  const session = await ort.InferenceSession.create(file, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
  });
  const dims = shape.map(Number);
  const values = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, Math.random);
  const feeds = { x: new ort.Tensor('float32', values, dims) };
  await session.run(feeds);
  console.log(JSON.stringify({ ready: true }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const ms = [];
    for (let i = Number(line.split(' ')[1]); i > 0; i--) {
      const start = performance.now();
      await session.run(feeds);
      ms.push(performance.now() - start);
    }
    console.log(JSON.stringify({ ms }));
  }
}

main();
