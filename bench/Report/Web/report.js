// SPDX-License-Identifier: GPL-2.0-only
// Draws the charts of a report from the data it embeds. Every number drawn here stands in a table as well; without script nothing is lost.
"use strict";
(() => {
  const result = JSON.parse(document.getElementById("result").textContent);
  const palette = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F"];
  const dashes = ["", "6,3", "2,3", "8,3,2,3"];
  const many = (key) => new Set(result.points.map((p) => p[key])).size > 1;
  const series = (p) => [many("model") ? p.model : null, many("mem") ? `mem ${p.mem}` : null].filter(Boolean).join(", ") || p.model;
  const si = (v) => v >= 1e9 ? `${+(v / 1e9).toPrecision(3)} G` : v >= 1e6 ? `${+(v / 1e6).toPrecision(3)} M` : v >= 1e3 ? `${+(v / 1e3).toPrecision(3)} k` : `${+v.toPrecision(3)}`;
  const ns = (v) => v >= 1e6 ? `${+(v / 1e6).toPrecision(3)} ms` : v >= 1e3 ? `${+(v / 1e3).toPrecision(3)} us` : `${+v.toPrecision(3)} ns`;
  const groups = (rows, key) => [...rows.reduce((m, r) => m.set(key(r), [...(m.get(key(r)) ?? []), r]), new Map())];
  const width = (most) => Math.max(320, Math.min(most, document.body.clientWidth - 48));
  const colors = (names) => ({ domain: names, range: names.map((_, i) => palette[i % palette.length]), legend: names.length > 1 });

  // A title of its own for each drawing: what a screen reader says instead of it.
  const draw = (figure, options, label) => {
    const { title, ...rest } = options;
    if (title) options = { ...rest, title: Object.assign(document.createElement("h3"), { textContent: title }) };
    const chart = Plot.plot({ style: { fontSize: "12px", overflow: "visible" }, ...options });
    const all = chart.tagName === "svg" ? [chart] : [...chart.querySelectorAll("svg")], svg = all.at(-1); // before it: the legend's
    for (const part of chart.querySelectorAll("[aria-label], [aria-description]")) { part.removeAttribute("aria-label"); part.removeAttribute("aria-description"); }
    for (const legend of all.slice(0, -1)) legend.setAttribute("aria-hidden", "true");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    let grid = figure.querySelector(".grid");
    if (!grid) figure.insertBefore(grid = Object.assign(document.createElement("div"), { className: "grid" }), figure.querySelector("figcaption"));
    grid.append(chart);
  };

  const scaling = (figure) => {
    const names = [...new Set(result.points.map(series))];
    for (const [workload, points] of groups(result.points, (p) => p.workload)) {
      const rows = points.filter((p) => p.throughput_ops_per_s.median !== null).map((p) => ({
        x: p.threads, y: p.throughput_ops_per_s.median, lo: p.throughput_ops_per_s.ci95?.[0] ?? p.throughput_ops_per_s.median,
        hi: p.throughput_ops_per_s.ci95?.[1] ?? p.throughput_ops_per_s.median, s: series(p), trust: p.throughput_ops_per_s.trust,
      }));
      if (!rows.length) continue;
      const fits = (result.fits ?? []).filter((f) => f.workload === workload && f.lambda !== null).flatMap((f) => {
        const last = Math.max(...rows.map((r) => r.x));
        return Array.from({ length: 80 }, (_, i) => 1 + (last - 1) * i / 79).map((n) =>
          ({ x: n, y: f.lambda * n / (1 + f.sigma * (n - 1) + f.kappa * n * (n - 1)), s: series(f) }));
      });
      const threads = [...new Set(rows.map((r) => r.x))];
      draw(figure, {
        title: workload, width: width(560), height: 320, marginLeft: 60, color: colors(names),
        x: { label: "threads", type: threads.length > 1 && Math.max(...threads) > 16 ? "log" : "linear", ticks: threads.length < 9 ? threads : 8, tickFormat: (d) => `${d}`, domain: [1, Math.max(2, ...threads)] },
        y: { label: "operations per second", zero: true, grid: true, tickFormat: si },
        marks: [
          Plot.areaY(rows, { x: "x", y1: "lo", y2: "hi", fill: "s", fillOpacity: 0.2 }),
          Plot.lineY(fits, { x: "x", y: "y", stroke: "s", strokeDasharray: "4,4", strokeOpacity: 0.7 }),
          Plot.lineY(rows, { x: "x", y: "y", stroke: "s", strokeWidth: 2 }),
          Plot.ruleX(rows, { x: "x", y1: "lo", y2: "hi", stroke: "s" }),
          Plot.dot(rows, { x: "x", y: "y", stroke: "s", fill: (d) => d.trust === "ok" ? d.s : "none", r: 4,
            tip: true, title: (d) => `${d.s}\n${d.x} threads\n${si(d.y)}op/s [${si(d.lo)} ${si(d.hi)}]\n${d.trust}` }),
        ],
      }, `${workload}: operations per second over threads, ${names.length} curve(s); the numbers are in the first table`);
    }
  };

  const latency = (figure) => {
    for (const [workload, points] of groups(result.points, (p) => p.workload)) {
      const most = Math.max(...points.map((p) => p.threads));
      const shown = points.filter((p) => p.threads === most || p.threads === 1);
      const name = (p) => `${series(p)}, t=${p.threads}`;
      const rows = shown.flatMap((p) => {
        const total = p.latency_ns.histogram.buckets.reduce((a, b) => a + b[1], 0);
        let seen = 0;
        return p.latency_ns.histogram.buckets.map(([v, n]) => ({ x: total / Math.max(1, total - (seen += n)), y: v / p.latency_ns.block, s: name(p) }));
      });
      if (!rows.length) continue;
      const names = [...new Set(shown.map(name))];
      draw(figure, {
        title: `${workload}${shown[0].latency_ns.percentiles_of_blocks ? " (of blocks)" : ""}`, width: width(560), height: 300, marginLeft: 60, color: colors(names),
        x: { type: "log", label: "percentile", ticks: [1, 2, 10, 100, 1000, 10000, 100000], tickFormat: (d) => ({ 1: "0", 2: "50", 10: "90", 100: "99", 1000: "99.9", 10000: "99.99", 100000: "99.999" })[d] ?? "" },
        y: { type: "log", label: "time per operation", grid: true, tickFormat: ns, ticks: 6 },
        marks: [Plot.lineY(rows, { x: "x", y: "y", stroke: "s", curve: "step-after", strokeWidth: 1.6, tip: true, title: (d) => `${d.s}\n${ns(d.y)} at 1 in ${si(d.x)}` })],
      }, `${workload}: time per operation by percentile; the percentiles are in the table below`);
    }
  };

  const fairness = (figure) => {
    const rows = result.points.filter((p) => p.threads > 1).flatMap((p) => {
      const mean = p.per_thread.reduce((a, t) => a + (t.ops_per_s ?? 0), 0) / p.threads;
      return p.per_thread.map((t, i) => ({ cpu: t.cpu, i, v: mean ? 100 * ((t.ops_per_s ?? 0) / mean - 1) : 0, p: `${p.workload}, ${series(p)}, t=${p.threads}` }));
    });
    if (!rows.length) return;
    const names = [...new Set(rows.map((r) => r.p))];
    const cpus = [...new Set(rows.map((r) => r.cpu))].sort((a, b) => a - b);
    const span = Math.max(5, ...rows.map((r) => Math.abs(r.v)));
    const scale = { type: "diverging", scheme: "PuOr", domain: [-span, span], label: "percent of the mean", legend: true, tickFormat: (d) => `${d} %` };
    if (cpus.length > 64) {
      const at = new Map(cpus.map((c, i) => [c, i]));
      const data = new Float64Array(cpus.length * names.length).fill(NaN);
      for (const r of rows) data[names.indexOf(r.p) * cpus.length + at.get(r.cpu)] = r.v;
      draw(figure, { width: width(1100), height: 60 + 14 * names.length, marginLeft: 280, color: scale, x: { label: "CPU (in order of number)" }, y: { ticks: names.map((_, i) => i + 0.5), tickFormat: (d) => names[Math.floor(d)] ?? "", reverse: true, label: null },
        marks: [Plot.raster(data, { width: cpus.length, height: names.length, x1: 0, x2: cpus.length, y1: 0, y2: names.length, imageRendering: "pixelated" })] },
      `each CPU's speed against the mean, ${names.length} points by ${cpus.length} CPUs; slowest and fastest are in the table`);
      return;
    }
    draw(figure, { width: width(Math.max(520, 300 + 40 * cpus.length)), height: 60 + 24 * names.length, marginLeft: 280, color: scale, x: { label: "CPU", domain: cpus, tickFormat: (d) => `${d}` }, y: { label: null, domain: names },
      marks: [Plot.cell(rows, { x: "cpu", y: "p", fill: "v", inset: 1, tip: true, title: (d) => `${d.p}\nCPU ${d.cpu}: ${d.v.toFixed(1)} %` }),
        ...(cpus.length <= 16 ? [Plot.text(rows, { x: "cpu", y: "p", text: (d) => `${d.v.toFixed(1)}`, fill: (d) => Math.abs(d.v) > span * 0.6 ? "white" : "black" })] : [])] },
    "each CPU's speed against the mean; slowest and fastest are in the table");
  };

  const matrices = (figure) => {
    for (const m of result.matrices ?? []) {
      for (const [what, cells] of [["moves between CPUs", m.cells], ["lies in its home's memory", m.cold ?? []]]) {
        const known = cells.filter((c) => c.ns !== null);
        if (!known.length) continue;
        const title = `${m.line}: ns when the line ${what}`;
        const color = { type: "sequential", scheme: "YlGnBu", label: "ns", legend: true, zero: false };
        const axes = m.kind === "cpu" ? ["CPU", "CPU"] : ["home node", "writer's node"];
        const both = m.kind === "cpu" ? known.flatMap((c) => [c, { ...c, row: c.column, column: c.row }]) : known;
        if (m.rows.length > 64) {
          const n = m.rows.length, at = new Map(m.rows.map((r, i) => [r, i])), data = new Float64Array(n * n).fill(NaN);
          for (const c of both) data[at.get(c.row) * n + at.get(c.column)] = c.ns;
          draw(figure, { title, width: width(620), aspectRatio: 1, color, x: { label: axes[0] }, y: { label: axes[1], reverse: true },
            marks: [Plot.raster(data, { width: n, height: n, x1: 0, x2: n, y1: 0, y2: n, imageRendering: "pixelated" })] }, `${title}, ${n} by ${n}`);
          continue;
        }
        const size = Math.max(18, Math.min(52, 640 / m.columns.length));
        const range = known.map((c) => c.ns), dark = (Math.min(...range) + Math.max(...range)) / 2;
        draw(figure, { title, width: 110 + size * Math.max(4, m.columns.length), height: 90 + size * Math.max(1, m.rows.length), color, x: { label: axes[0], domain: m.columns, tickFormat: (d) => `${d}` }, y: { label: axes[1], domain: m.rows, tickFormat: (d) => `${d}` },
          marks: [Plot.cell(both, { x: "column", y: "row", fill: "ns", inset: 0.5, tip: true, title: (d) => `${d.row} - ${d.column}: ${ns(d.ns)}` }),
            ...(size > 30 ? [Plot.text(both, { x: "column", y: "row", text: (d) => d.ns.toFixed(0), fill: (d) => d.ns > dark ? "white" : "black" })] : [])] }, title);
      }
    }
  };

  const placement = (figure) => {
    const nodes = result.environment.host.nodes.map((n) => n.number);
    const seen = new Map();
    for (const p of result.points) {
      const sum = Object.values(p.placement.found).reduce((a, b) => a + b, 0);
      for (const n of nodes) seen.set(`${p.mem} ${n}`, { mem: p.mem, node: n, v: 100 * (p.placement.found[n] ?? 0) / Math.max(1, sum) });
    }
    const rows = [...seen.values()], mems = [...new Set(rows.map((r) => r.mem))];
    draw(figure, { width: 160 + 46 * Math.max(4, nodes.length), height: 80 + 30 * mems.length, marginLeft: 120, color: { type: "sequential", scheme: "Blues", domain: [0, 100], label: "percent of frames", legend: true },
      x: { label: "node found", domain: nodes, tickFormat: (d) => `${d}` }, y: { label: null, domain: mems },
      marks: [Plot.cell(rows, { x: "node", y: "mem", fill: "v", inset: 1 }), Plot.text(rows, { x: "node", y: "mem", text: (d) => d.v ? d.v.toFixed(0) : "", fill: (d) => d.v > 55 ? "white" : "black" })] },
    "share of the frames found on each node, by memory policy");
  };

  const ratios = (figure) => {
    const rows = result.ratios.filter((r) => r.ratio !== null).map((r) => ({ label: `${r.workload}, ${r.mem}, t=${r.threads}: ${r.model}`, v: r.ratio, lo: r.ci95[0], hi: r.ci95[1], against: r.against }));
    if (!rows.length) return;
    draw(figure, { width: width(900), height: 60 + 24 * rows.length, marginLeft: 360, x: { type: "log", label: `cost, as a multiple of ${[...new Set(rows.map((r) => r.against))].join(", ")}`, grid: true, ticks: 6, tickFormat: (d) => `${+d.toPrecision(3)}` }, y: { label: null, domain: rows.map((r) => r.label) },
      marks: [Plot.ruleX([1], { strokeDasharray: "3,3" }), Plot.link(rows, { x1: "lo", x2: "hi", y1: "label", y2: "label", stroke: palette[0], strokeWidth: 2 }),
        Plot.dot(rows, { x: "v", y: "label", fill: palette[0], r: 4 }), Plot.text(rows, { x: "v", y: "label", text: (d) => d.v.toFixed(3), dy: -9 })] },
    "cost of each model as a multiple of the first; the numbers are in the table");
  };

  const probe = (figure) => {
    const rows = (result.line_probe?.distances ?? []).filter((d) => d.ns_per_add !== null);
    if (!rows.length) return;
    draw(figure, { width: width(460), height: 220, x: { label: "bytes apart", type: "band", domain: rows.map((r) => r.distance_bytes) }, y: { label: "ns per add", zero: true, grid: true },
      marks: [Plot.barY(rows, { x: "distance_bytes", y: "ns_per_add", fill: palette[0], inset: 6 }), Plot.text(rows, { x: "distance_bytes", y: "ns_per_add", text: (d) => d.ns_per_add.toFixed(1), dy: -8 })] },
    "cost of two CPUs' adds by the distance of their words");
  };

  const locks = (figure) => {
    const seen = new Set(), first = result.points.filter((p) => !seen.has(p.model + p.mem) && seen.add(p.model + p.mem));
    const rows = first.flatMap((p) => (p.locks ?? []).slice(0, 16).map((l) => ({ label: `${series(p)}: ${l.name}`, v: l.wait_ns / Math.max(1, l.acquired) })));
    if (!rows.length) return;
    draw(figure, { width: width(900), height: 60 + 20 * rows.length, marginLeft: 360, x: { label: "ns waited per acquisition", grid: true }, y: { label: null, domain: rows.map((r) => r.label) },
      marks: [Plot.barX(rows, { y: "label", x: "v", fill: palette[0] })] }, "waiting time by lock");
  };

  const zombies = (figure) => {
    const rows = result.points.flatMap((p) => (p.dying_over_time ?? []).map((s) => ({ x: s[0], y: s[1], s: `${p.workload}, ${series(p)}, t=${p.threads}` })));
    if (!rows.length) return;
    const names = [...new Set(rows.map((r) => r.s))];
    draw(figure, { width: width(900), height: 280, color: colors(names), x: { label: "ms measured" }, y: { label: "dying groups", zero: true, grid: true },
      marks: [Plot.lineY(rows, { x: "x", y: "y", stroke: "s", strokeWidth: 1.6 })] }, "dying groups over time");
  };

  const charts = { scaling, latency, fairness, matrices, placement, ratios, probe, locks, zombies };
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    charts[figure.dataset.chart](figure);
    if (!figure.querySelector("svg, canvas")) figure.hidden = true;
  }
})();
