// Redraws the curves over another axis, reads values under the pointer, sorts and filters tables.
// Everything it needs is in the page; without it the page shows the same curves over inputs.
(() => {
  "use strict";
  const all = (s, e = document) => [...e.querySelectorAll(s)];
  document.documentElement.classList.add("scripted");

  const count = (n) => {
    for (const [u, s] of [["G", 1e9], ["M", 1e6], ["k", 1e3]])
      if (Math.abs(n) >= s) return +(n / s).toPrecision(3) + " " + u;
    return String(+n.toPrecision(3));
  };
  const clock = (s) => s >= 3600 ? Math.floor(s / 3600) + " h " + Math.round(s % 3600 / 60) + " min"
    : s >= 60 ? +(s / 60).toPrecision(2) + " min" : +s.toPrecision(2) + " s";
  const value = (v) => {
    if (v === 0) return "0";
    const a = Math.abs(v);
    if (a >= 1e-4 && a < 1e6) return a >= 1000 ? count(v) : String(+v.toPrecision(4));
    return v.toExponential(2);
  };
  const tickText = (v) => Math.abs(v) >= 1000 ? count(v)
    : String(+v.toPrecision(2)).length <= 6 ? String(+v.toPrecision(2)) : v.toExponential(1).replace(".0e", "e");

  const NS = "http://www.w3.org/2000/svg";
  const node = (name, attributes, text) => {
    const e = document.createElementNS(NS, name);
    for (const k in attributes) e.setAttribute(k, attributes[k]);
    if (text !== undefined) e.textContent = text;
    return e;
  };

  function ticks(low, high, log) {
    if (log) {
      const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
      let found = [];
      for (const steps of [[1], [1, 3], [1, 2, 5]]) {
        found = [];
        for (let e = first; e <= last; e++) for (const m of steps) found.push(m * 10 ** e);
        found = found.filter((t) => t >= low && t <= high);
        if (found.length >= 3) return found.filter((_, i) => i % Math.max(1, Math.floor(found.length / 5)) === 0);
      }
      if (found.length >= 2) return found;
    }
    const raw = (high - low) / 4, size = 10 ** Math.floor(Math.log10(raw));
    const unit = [1, 2, 5, 10].map((m) => m * size).find((u) => raw <= u), found = [];
    for (let k = Math.ceil(low / unit); k * unit <= high + 1e-9 * unit; k++) found.push(k * unit);
    return found;
  }

  function chart(figure) {
    const data = JSON.parse(figure.querySelector("script.data").textContent);
    const { box } = data, plots = all("svg.plot", figure), hidden = new Set();
    const state = { x: "inputs", y: "auto", clip: true };
    const series = data.series.map((s, i) => ({
      ...s, i, path: figure.querySelector(`[data-s="${i}"]`),
      st: s.st || s.x.map((x) => Math.round(x / s.r)),
    }));
    const xs = (s) => state.x === "steps" ? s.st : state.x === "time" ? s.s : s.x;
    const shown = (s) => !hidden.has(s.c) && !(s.path && s.path.classList.contains("out"));
    const isLog = (p) => state.y === "auto" ? data.log[p] : state.y === "log";
    const span = { x: [0, 1], y: [] };

    function range(of, log, floors) {
      let v = [];
      for (const s of of) v = v.concat(s.y);
      if (log) v = v.filter((y) => y > 0);
      if (!v.length) return log ? [.1, 1] : [0, 1];
      v.sort((a, b) => a - b);
      const q = (v.length - 1) * box.q, k = Math.floor(q);
      let low = v[0], top = v[v.length - 1];
      if (state.clip) top = v[k] + (q - k) * ((v[k + 1] ?? v[k]) - v[k]);
      for (const f of floors) if (!log || f > 0) { low = Math.min(low, f); top = Math.max(top, f); }
      if (log) return top > low ? [low / 1.08, top * 1.08] : [low / 2, low * 2];
      const pad = (top - low) * .05 || Math.abs(low) * .1 || 1;
      return [low < 0 || low - pad > 0 ? low - pad : 0, top + pad];
    }
    const px = (x) => box.l + (box.w - box.l - box.r) * x / span.x[1];
    function py(y, p) {
      const log = isLog(p), f = log ? (v) => Math.log(Math.max(v, 1e-300)) : (v) => v;
      const [a, b] = span.y[p].map(f), share = Math.min(1.5, Math.max(-.5, (f(y) - a) / (b - a)));
      return box.t + (box.h - box.t - box.b) * (1 - share);
    }

    function draw() {
      const live = series.filter(shown), use = live.length ? live : series;
      span.x = [0, Math.max(...use.map((s) => xs(s)[s.x.length - 1])) || 1];
      plots.forEach((svg, p) => {
        const log = isLog(p), own = data.own ? use.filter((s) => s.p === p) : use;
        span.y[p] = range(own, log, data.own ? [] : data.floors);
        const grid = svg.querySelector(".y");
        grid.replaceChildren();
        for (const t of ticks(...span.y[p], log)) {
          const y = py(t, p);
          grid.append(node("path", { class: "g", d: `M${box.l} ${y}H${box.w - box.r}` }),
            node("text", { class: "e", x: box.l - 5, y: y + 3 }, tickText(t)));
        }
        svg.querySelector(".x1").textContent = state.x === "time" ? clock(span.x[1])
          : count(span.x[1]) + " " + state.x;
        for (const m of all(".m", svg)) {
          const at = m.dataset.at.split(" ").map(Number);
          const x = px(at[["inputs", "steps", "time"].indexOf(state.x)]);
          m.setAttribute("transform", `translate(${x} 0)`);
        }
        for (const f of all("[data-y]", svg)) {
          const y = py(+f.dataset.y, p);
          if (f.tagName === "path") f.setAttribute("d", `M${box.l} ${y}H${box.w - box.r}`);
          else f.setAttribute("y", y - 3);
        }
        for (const b of all(".b", svg)) b.classList.toggle("off", state.x !== "inputs" || state.y !== "auto" || !state.clip);
      });
      for (const s of series) {
        if (!s.path) continue;
        s.path.classList.toggle("off", !shown(s));
        const x = xs(s);
        s.path.setAttribute("d", "M" + s.y.map((y, k) => px(x[k]).toFixed(1) + " " + py(y, s.p).toFixed(1)).join("L") + (s.y.length < 2 ? "h.01" : ""));
      }
    }

    function point(svg, p, s, k) {
      clear(svg);
      const x = px(xs(s)[k]), y = py(s.y[k], p), h = node("g", { class: "h" });
      h.append(node("path", { d: `M${x} ${box.t}V${box.h - box.b}` }), node("circle", { cx: x, cy: y, r: 3.2, class: "c" + s.c }));
      svg.append(h);
      const at = xs(s)[k], where = state.x === "time" ? clock(at) : count(at) + " " + state.x;
      const out = svg.parentElement.querySelector("output");
      out.textContent = (s.n ? s.n + (s.k === "t" ? " (training)" : "") + ": " : "") + value(s.y[k]) + " at " + where;
      light(s.g);
      svg.at = [s, k];
    }
    function clear(svg) {
      all(".h", svg).forEach((e) => e.remove());
      svg.parentElement.querySelector("output").textContent = "";
    }
    function light(group) {
      plots.forEach((svg) => {
        svg.classList.toggle("dim", group !== null && !data.own);
        all("[data-s]", svg).forEach((e) => e.classList.toggle("hi", e.dataset.g === String(group)));
      });
      all("tr[data-g]").forEach((r) => r.classList.toggle("hi", group !== null && r.dataset.g === String(group)));
    }
    const near = (list, x) => {
      let k = 0;
      for (let i = 1; i < list.length; i++) if (Math.abs(list[i] - x) < Math.abs(list[k] - x)) k = i;
      return k;
    };
    plots.forEach((svg, p) => {
      svg.addEventListener("pointermove", (e) => {
        const r = svg.getBoundingClientRect(), f = box.w / r.width;
        const mx = (e.clientX - r.left) * f, my = (e.clientY - r.top) * f;
        const x = (mx - box.l) / (box.w - box.l - box.r) * span.x[1];
        let best = null;
        for (const s of series) {
          if (s.p !== p || !shown(s)) continue;
          const k = near(xs(s), x), d = Math.hypot(px(xs(s)[k]) - mx, 3 * (py(s.y[k], p) - my)) + (s.k === "t" ? 6 : 0);
          if (!best || d < best[0]) best = [d, s, k];
        }
        if (best) point(svg, p, best[1], best[2]);
      });
      const leave = () => { clear(svg); light(null); };
      svg.addEventListener("pointerleave", leave);
      svg.addEventListener("blur", leave);
      svg.addEventListener("click", () => { if (svg.at && svg.at[0].u) location.href = svg.at[0].u; });
      svg.addEventListener("keydown", (e) => {
        const mine = series.filter((s) => s.p === p && shown(s));
        if (!mine.length) return;
        let [s, k] = svg.at || [mine[mine.length - 1], -1];
        const move = { ArrowLeft: -1, ArrowRight: 1 }[e.key], turn = { ArrowUp: -1, ArrowDown: 1 }[e.key];
        if (move) k = Math.min(s.x.length - 1, Math.max(0, k + move));
        else if (turn) {
          const x = xs(s)[Math.max(0, k)];
          s = mine[(mine.indexOf(s) + turn + mine.length) % mine.length];
          k = near(xs(s), x);
        } else if (e.key === "Enter" && s.u) { location.href = s.u; return; }
        else if (e.key === "Escape") { leave(); return; } else return;
        e.preventDefault();
        point(svg, p, s, k);
      });
    });
    for (const c of all("[data-axis]", figure)) c.addEventListener("change", () => {
      state[c.dataset.axis] = c.type === "checkbox" ? c.checked : c.value;
      draw();
    });
    for (const b of all("button.key", figure)) b.addEventListener("click", () => {
      const c = +b.dataset.c, off = !hidden.delete(c);
      if (off) hidden.add(c);
      b.setAttribute("aria-pressed", String(!off));
      draw();
    });
    all("tr[data-g]").forEach((r) => {
      r.addEventListener("pointerenter", () => light(r.dataset.g));
      r.addEventListener("pointerleave", () => light(null));
    });
    document.addEventListener("rows", (e) => {
      for (const s of series) if (s.path) s.path.classList.toggle("out", e.detail.has(String(s.g)));
      draw();
    });
  }

  function sheet(box) {
    const table = box.querySelector("table"), body = table.tBodies[0], rows = [...body.rows];
    const field = box.querySelector("input[type=search]"), said = box.querySelector("[data-shown]");
    rows.forEach((r, k) => { r.place = k; });
    all("th button", table).forEach((b) => b.addEventListener("click", () => {
      const th = b.closest("th"), k = th.cellIndex, now = th.getAttribute("aria-sort");
      const to = now === "ascending" ? "descending" : now === "descending" ? "none" : "ascending";
      all("th", table).forEach((h) => h.removeAttribute("aria-sort"));
      if (to !== "none") th.setAttribute("aria-sort", to);
      const sign = to === "descending" ? -1 : 1;
      rows.sort((a, c) => {
        if (to === "none") return a.place - c.place;
        const [x, y] = [a.cells[k].dataset.v, c.cells[k].dataset.v];
        if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1) || a.place - c.place;
        const d = x - y;
        return sign * (Number.isNaN(d) ? x.localeCompare(y) : d) || a.place - c.place;
      });
      body.append(...rows);
    }));
    const filter = () => {
      const words = field.value.toLowerCase().match(/"[^"]*"|\S+/g) || [], out = new Set();
      let left = 0;
      for (const r of rows) {
        const cells = [...r.cells].map((c) => c.textContent.trim().toLowerCase());
        const ok = words.every((w) => w[0] === '"' ? cells.includes(w.slice(1, -1)) : cells.some((c) => c.includes(w)));
        r.hidden = !ok;
        if (ok) left++; else out.add(r.dataset.g);
      }
      said.textContent = left === rows.length ? rows.length + " rows" : left + " of " + rows.length + " rows";
      document.dispatchEvent(new CustomEvent("rows", { detail: out }));
    };
    field.addEventListener("input", filter);
    all("button.v", table).forEach((b) => b.addEventListener("click", () => {
      const word = '"' + b.textContent.trim() + '"', had = field.value.includes(word);
      field.value = had ? field.value.replace(word, "").trim() : (field.value + " " + word).trim();
      filter();
    }));
  }

  all("[data-chart]").forEach(chart);
  all("[data-sheet]").forEach(sheet);
})();
