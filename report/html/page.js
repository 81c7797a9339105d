// The page is whole without this script. It adds values under the pointer and
// by the arrow keys, series that can be hidden, ranges of time, and tables that
// can be sorted.
"use strict";

const svgNS = "http://www.w3.org/2000/svg";

function element(parent, name, text) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  parent.append(e);
  return e;
}

function figure(v) {
  if (v === null) return "–";
  return v.toLocaleString("en-US", { maximumSignificantDigits: Math.abs(v) >= 10000 ? 12 : 4 });
}

function stamp(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ") + " UTC";
}

function makeChart(box) {
  const data = JSON.parse(box.querySelector("script").textContent);
  const times = data.times, first = times[0], last = times[times.length - 1];
  const plot = box.querySelector(".plot"), cursor = box.querySelector(".cursor"), frame = box.querySelector(".plotbox");
  const readout = element(frame, "div");
  readout.className = "readout";
  readout.setAttribute("role", "status");
  readout.hidden = true;
  const hidden = new Set();
  let at = times.length - 1, from = first;

  function show(i) {
    at = Math.max(0, Math.min(times.length - 1, i));
    while (at < times.length - 1 && times[at] < from) at++;
    cursor.setAttribute("x1", times[at] - first);
    cursor.setAttribute("x2", times[at] - first);
    cursor.classList.remove("off");
    const lines = [stamp(times[at])];
    data.series.forEach((s, k) => { if (!hidden.has(k)) lines.push(s.name + ": " + figure(s.values[at])); });
    readout.textContent = lines.join("\n");
    readout.hidden = false;
    const share = (times[at] - from) / Math.max(1, last - from);
    readout.style.left = share < 0.5 ? "auto" : "10%";
    readout.style.right = share < 0.5 ? "2%" : "auto";
  }

  function leave() {
    readout.hidden = true;
    cursor.classList.add("off");
  }

  frame.tabIndex = 0;
  frame.addEventListener("pointermove", (e) => {
    const r = plot.getBoundingClientRect();
    const t = from + (e.clientX - r.left) / r.width * (last - from);
    let i = times.findIndex((x) => x >= t);
    if (i < 0) i = times.length - 1;
    if (i > 0 && t - times[i - 1] < times[i] - t) i--;
    show(i);
  });
  frame.addEventListener("pointerleave", leave);
  frame.addEventListener("blur", leave);
  frame.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[e.key];
    if (step === undefined) return;
    e.preventDefault();
    show(readout.hidden ? at : at + step);
  });

  box.querySelectorAll(".legend li").forEach((item, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...item.childNodes);
    button.setAttribute("aria-pressed", "true");
    item.append(button);
    button.addEventListener("click", () => {
      const off = !hidden.delete(i);
      if (off) hidden.add(i);
      button.setAttribute("aria-pressed", String(!off));
      plot.querySelector(`[data-i="${i}"]`).classList.toggle("off", off);
    });
  });

  return (seconds) => { // shows the last so many seconds, or everything
    leave();
    from = seconds ? Math.max(first, last - seconds) : first;
    plot.setAttribute("viewBox", `${from - first} 0 ${Math.max(1, last - from)} 1000`);
    const marks = box.querySelector(".times"), count = 6;
    marks.replaceChildren();
    for (let k = 0; k <= count; k++) {
      const text = document.createElementNS(svgNS, "text");
      const label = stamp(from + (last - from) * k / count);
      text.setAttribute("x", 90 + 895 * k / count - (k === count ? 40 : 0));
      text.setAttribute("y", 260);
      text.textContent = last - from <= 86400 ? label.slice(11, 16) : label.slice(5, 16);
      marks.append(text);
    }
  };
}

function makeRanges(nav, charts, span) {
  const choices = [["1 hour", 3600], ["1 day", 86400], ["7 days", 7 * 86400], ["30 days", 30 * 86400]].filter((c) => c[1] < span);
  if (!choices.length) return;
  const buttons = [...choices, ["all", 0]].map(([name, seconds]) => {
    const b = element(nav, "button", name);
    b.type = "button";
    b.setAttribute("aria-pressed", String(!seconds));
    b.addEventListener("click", () => {
      buttons.forEach((x) => x.setAttribute("aria-pressed", String(x === b)));
      charts.forEach((range) => range(seconds));
    });
    return b;
  });
}

function makeSortable(table) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const number = head.classList.contains("number");
      const key = (row) => row.cells[column].dataset.v;
      const rows = [...body.rows].sort((a, b) => {
        const x = key(a), y = key(b);
        if (x === "" || y === "") return (x === "") - (y === ""); // what is absent stands last either way
        const order = number ? x - y : x.localeCompare(y);
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
}

const charts = [...document.querySelectorAll("figure")];
const ranges = charts.map(makeChart);
const nav = document.querySelector(".ranges");
if (nav) makeRanges(nav, ranges, Number(nav.dataset.span));
document.querySelectorAll("table").forEach(makeSortable);
