// SPDX-License-Identifier: GPL-2.0-only
// Bundles the marks of Observable Plot that report.js uses into plot.js, and the licences of everything bundled into plot.LICENSES.txt.
import { build } from "esbuild";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const marks = "plot, lineY, areaY, dot, cell, text, ruleX, ruleY, raster, barX, barY, link, tip, pointer";
const result = await build({
  stdin: { contents: `export { ${marks} } from "@observablehq/plot";`, resolveDir: "." },
  bundle: true, minify: true, format: "iife", globalName: "Plot", target: "es2020", metafile: true, legalComments: "none", write: false,
});
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8")).version;
const packages = [...new Set(Object.keys(result.metafile.inputs)
  .map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean))].sort();
const licences = packages.map((name) => {
  const file = readdirSync(`node_modules/${name}`).find((f) => /^licen[cs]e/i.test(f));
  return `${name} ${version(name)}\n\n${readFileSync(`node_modules/${name}/${file}`, "utf8").trim()}\n`;
});
writeFileSync("plot.js", `/* Observable Plot ${version("@observablehq/plot")} and what it needs; licences: plot.LICENSES.txt. Built by build.mjs. */\n${result.outputFiles[0].text}`);
writeFileSync("plot.LICENSES.txt", licences.join("\n--------\n\n"));
