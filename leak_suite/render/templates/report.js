/* Draws the charts when they come into view, and lets them be read by keyboard. */
"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const still = { displaylogo: false, responsive: true, displayModeBar: true,
    modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]] };
  const drawn = new Map();
  const waiting = document.getElementById("plotly");
  let printing = false;

  const theme = () => charts.themes[dark.matches && !printing ? "dark" : "light"];

  function traces(chart, colour) {
    const line = (name, x, y, more) => ({ type: "scatter", mode: "lines", name, x, y, hoverinfo: "skip", ...more });
    const text = (i) => `after ${chart.x[i].toLocaleString("en")} iterations<br>${chart.text[i]}`;
    const readings = (name, from, to, tint, more) => ({
      type: "scatter", mode: "lines+markers", name, x: chart.x.slice(from, to), y: chart.y.slice(from, to),
      text: chart.x.map((_, i) => text(i)).slice(from, to), hovertemplate: "%{text}<extra></extra>",
      line: { color: tint, width: 2 },
      marker: { color: tint, size: 6 }, connectgaps: false, ...more });
    const found = [];
    if (chart.tolerance) found.push(line(chart.tolerance.name, chart.tolerance.x, chart.tolerance.y,
      { line: { color: colour.tolerance, width: 1.5, dash: "dash" }, legendrank: 1004 }));
    if (chart.budget) found.push(line(chart.budget.name, chart.budget.x, chart.budget.y,
      { line: { color: colour.fit, width: 2, dash: "dot" } }));
    if (chart.band) {
      found.push(line("", chart.band.x, chart.band.low, { line: { width: 0 }, showlegend: false }));
      found.push(line("its 95% interval", chart.band.x, chart.band.high,
        { line: { width: 0 }, fill: "tonexty", fillcolor: colour.band, legendrank: 1003 }));
    }
    if (chart.fit) found.push(line(chart.fit.name, chart.fit.x, chart.fit.y,
      { line: { color: colour.fit, width: 6 }, opacity: 0.5, legendrank: 1002 }));
    if (chart.warm) found.push(readings("warm-up", 0, chart.warm + 1, colour["warm-up"],
      { marker: { color: colour["warm-up"], size: 5, symbol: "circle-open" }, legendrank: 1005 }));
    found.push(readings("readings", chart.warm, chart.x.length, colour.reading, { legendrank: 1 }));
    return found;
  }

  function layout(chart, colour, narrow) {
    const axis = { gridcolor: colour.grid, linecolor: colour.line, zeroline: false, automargin: true, tickcolor: colour.line };
    const shade = { type: "rect", xref: "x", yref: "paper", y0: 0, y1: 1, layer: "below",
      x0: chart.x[0], x1: chart.x[chart.warm], fillcolor: colour["warm-wash"], line: { width: 0 } };
    return {
      paper_bgcolor: colour.surface, plot_bgcolor: colour.surface, separators: ".,",
      font: { family: getComputedStyle(document.body).fontFamily, color: colour.muted, size: 12 },
      margin: { l: 8, r: narrow ? 8 : 16, t: 30, b: 8 }, hovermode: "x",
      dragmode: coarse ? false : "zoom",
      hoverlabel: { bgcolor: colour.surface, bordercolor: colour.accent, font: { color: colour.text, size: 12.5 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour.muted, activecolor: colour.accent },
      legend: { orientation: "h", traceorder: "normal", x: 0, y: 0, yref: "container", yanchor: "bottom", font: { size: narrow ? 10.5 : 12 }, itemclick: false, itemdoubleclick: false },
      xaxis: { ...axis, title: { text: "iterations", standoff: 6 }, tickformat: ",d", nticks: narrow ? 4 : 9, range: chart.span },
      yaxis: { ...axis, title: { text: chart.unit, standoff: 8 }, range: chart.range, tickformat: chart.whole ? ",d" : undefined,
        nticks: 7 },
      shapes: chart.warm ? [shade] : [],
    };
  }

  /* The library is large and the verdict needs none of it: it is run for the first chart. */
  function load() {
    if (waiting.type === "application/javascript") return;
    waiting.type = "application/javascript";
    const script = document.createElement("script");
    script.textContent = waiting.textContent;
    document.head.append(script);
  }

  function draw(figure) {
    load();
    const plot = figure.querySelector(".plot");
    const chart = charts.charts[figure.dataset.chart];
    const narrow = plot.clientWidth < 520;
    const shape = layout(chart, theme(), narrow);
    if (printing) { shape.width = 660; shape.height = 220; shape.font.size = 10; shape.legend.font.size = 9.5; shape.yaxis.nticks = 5; }
    plot.querySelector(".wait")?.remove();
    const config = printing ? { ...still, displayModeBar: false, responsive: false } : still;
    const first = !drawn.has(figure);
    drawn.set(figure, { plot, chart, at: first ? -1 : drawn.get(figure).at });
    Plotly.react(plot, traces(chart, theme()), shape, config);
    /* A drawing says nothing to a screen reader; its buttons and the table below do. */
    for (const drawing of plot.querySelectorAll(".main-svg")) drawing.setAttribute("aria-hidden", "true");
    if (first) plot.on("plotly_hover", (event) => showDetails(figure, event.points[0]));
  }

  const showDetails = (figure, point) => {
    if (point.text) figure.querySelector(".readout").textContent = point.text.replace("<br>", ": ");
  };
  const known = (chart) => chart.x.map((_, i) => i).filter((i) => chart.y[i] !== null);

  function step(figure, to) {
    const { plot, chart } = drawn.get(figure);
    const places = known(chart);
    const state = drawn.get(figure);
    state.at = Math.max(0, Math.min(places.length - 1, to(state.at, places.length)));
    const index = places[state.at];
    const number = plot.data.findIndex((trace) => trace.name === (index < chart.warm ? "warm-up" : "readings"));
    const pointNumber = index < chart.warm ? index : index - chart.warm;
    Plotly.Fx.hover(plot, [{ curveNumber: number, pointNumber }]);
    showDetails(figure, { text: plot.data[number].text[pointNumber] });
  }

  function zoom(figure, factor) {
    const { plot, chart, at } = drawn.get(figure);
    if (!factor) { Plotly.relayout(plot, { "xaxis.range": chart.span.slice(), "yaxis.range": chart.range.slice() }); return; }
    const [low, high] = plot.layout.xaxis.range.map(Number);
    const centre = at < 0 ? (low + high) / 2 : chart.x[known(chart)[at]];
    const half = (high - low) * factor / 2;
    Plotly.relayout(plot, { "xaxis.range": [centre - half, centre + half] });
  }

  const keys = {
    ArrowRight: (f) => step(f, (at) => at + 1), ArrowLeft: (f) => step(f, (at, n) => at < 0 ? n - 1 : at - 1),
    Home: (f) => step(f, () => 0), End: (f) => step(f, (_, n) => n - 1),
    "+": (f) => zoom(f, 0.5), "=": (f) => zoom(f, 0.5), "-": (f) => zoom(f, 2),
    0: (f) => zoom(f, 0), Escape: (f) => zoom(f, 0),
  };

  const figures = [...document.querySelectorAll("figure.chart")];
  const watcher = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) if (isIntersecting) { watcher.unobserve(target); draw(target); }
  }, { rootMargin: "200px" });
  for (const figure of figures) {
    watcher.observe(figure);
    figure.addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (event.target !== figure || !act || event.ctrlKey || event.metaKey || event.altKey) return;
      if (!drawn.has(figure)) { watcher.unobserve(figure); draw(figure); }
      act(figure);
      event.preventDefault();
    });
    figure.addEventListener("blur", () => drawn.has(figure) && Plotly.Fx.unhover(drawn.get(figure).plot));
  }
  const again = () => { for (const figure of drawn.keys()) draw(figure); };
  dark.addEventListener("change", again);

  let closed = [];
  addEventListener("beforeprint", () => {
    printing = true;
    closed = [...document.querySelectorAll("details[data-print]:not([open])")];
    for (const each of closed) each.open = true;
    for (const figure of figures) if (figure.closest("details:not([open])") === null) { watcher.unobserve(figure); draw(figure); }
  });
  addEventListener("afterprint", () => {
    printing = false;
    for (const each of closed) each.open = false;
    again();
  });

  /* A link to a metric that is folded in opens it. */
  function open() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    if (target.tagName === "DETAILS") target.querySelector("summary").focus();
    target.scrollIntoView();
  }
  addEventListener("hashchange", open);
  open();

  for (const button of document.querySelectorAll(".command button")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "Copied";
    });
  }
})();
