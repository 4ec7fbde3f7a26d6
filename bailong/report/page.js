// Values under the pointer. The page is complete without this.
for (const drawing of JSON.parse(document.getElementById("curves").textContent)) {
  const svg = document.getElementById(drawing.id);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  line.setAttribute("stroke", "var(--soft)");
  line.setAttribute("visibility", "hidden");
  svg.append(line);
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  svg.parentElement.append(tip);

  const at = (series, key, tokens) => {
    const x = series.x;
    if (!series[key] || tokens < x[0] || tokens > x[x.length - 1]) return null;
    let i = x.findIndex((value) => value >= tokens);
    if (i <= 0) return series[key][0];
    const share = (tokens - x[i - 1]) / (x[i] - x[i - 1]);
    return series[key][i - 1] + share * (series[key][i] - series[key][i - 1]);
  };
  const hide = () => {
    tip.hidden = true;
    line.setAttribute("visibility", "hidden");
  };
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const scale = box.width / drawing.width;
    const px = (event.clientX - box.left) / scale;
    const py = (event.clientY - box.top) / scale;
    const panel = drawing.panels.find(({ frame: [x0, y0, x1, y1] }) => px >= x0 && px <= x1 && py >= y0 && py <= y1);
    if (!panel) return hide();
    const [x0, y0, x1, y1] = panel.frame;
    const tokens = panel.x[0] + ((px - x0) / (x1 - x0)) * (panel.x[1] - panel.x[0]);
    const rows = panel.series
      .map((series) => ({ name: series.name, mean: at(series, "mean", tokens), low: at(series, "low", tokens), high: at(series, "high", tokens) }))
      .filter((row) => row.mean !== null);
    if (!rows.length) return hide();
    for (const [key, value] of Object.entries({ x1: px, x2: px, y1: y0, y2: y1 })) line.setAttribute(key, value);
    line.setAttribute("visibility", "visible");
    tip.replaceChildren();
    const add = (tag, text) => {
      const node = document.createElement(tag);
      node.textContent = text;
      tip.append(node);
    };
    add("i", `${Math.round(tokens).toLocaleString("en")} tokens`);
    for (const row of rows) {
      tip.append(document.createElement("br"));
      add("b", row.name);
      tip.append(` ${row.mean.toFixed(3)} `);
      if (row.low !== null) add("i", `${row.low.toFixed(3)} to ${row.high.toFixed(3)}`);
    }
    tip.hidden = false;
    const around = svg.parentElement.getBoundingClientRect();
    const left = event.clientX - around.left;
    tip.style.top = `${event.clientY - around.top + 14}px`;
    tip.style.left = `${left > around.width / 2 ? left - tip.offsetWidth - 14 : left + 14}px`;
  });
}
