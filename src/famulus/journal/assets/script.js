// Redraws the curves over another axis and as wide as the page lets them (letters keep their size),
// reads values under the pointer, sorts and filters tables. Everything it needs is in the page;
// without it the page shows the same curves over samples. Axes are those of pages/axes.py.
(() => {
  "use strict";
  const all = (s, e = document) => [...e.querySelectorAll(s)];
  document.documentElement.classList.add("scripted");

  const count = (n, digits = 3) => {
    for (const [u, s] of [["G", 1e9], ["M", 1e6], ["k", 1e3]])
      if (Math.abs(n) >= s) return +(n / s).toPrecision(digits) + " " + u;
    return String(+n.toPrecision(digits));
  };
  const UNITS = [["ms", 1e-3, 1], ["s", 1, 120], ["min", 60, 7200], ["h", 3600, 172800], ["d", 86400, Infinity]];
  const unitOf = (seconds) => UNITS.find((u) => seconds < u[2]);
  const clock = (s) => { const [name, size] = unitOf(s); return +(s / size).toPrecision(3) + " " + name; };
  const value = (v) => {
    if (v === 0) return "0";
    const a = Math.abs(v);
    if (a >= 1e-4 && a < 1e6) return a >= 1000 ? count(v) : String(+v.toPrecision(4));
    return v.toExponential(2);
  };
  const tickLabel = (v, digits) => {
    const r = +v.toPrecision(digits), text = String(+r.toPrecision(12));
    if (Math.abs(r) >= 1000) return count(r, digits);
    if (r === 0 || Math.abs(r) >= .001 || (text.length <= 6 && !text.includes("e"))) return text;
    const [m, e] = r.toExponential(digits - 1).split("e");
    return +m + "e" + +e;
  };
  // as many digits as tell the ticks apart and put each where it stands
  const tickLabels = (values) => {
    let gap = Infinity, digits = 2;
    values.forEach((v, k) => { if (k) gap = Math.min(gap, v - values[k - 1]); });
    while (digits < 15 && values.some((v) => Math.abs(+v.toPrecision(digits) - v) > .01 * gap)) digits++;
    return values.map((v) => tickLabel(v, digits));
  };

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
    const unit = [1, 2, 2.5, 5, 10].map((m) => m * size).find((u) => raw <= u), found = [];
    for (let k = Math.ceil(low / unit - 1e-9); k * unit <= high + 1e-9 * unit; k++) found.push(k * unit);
    return found;
  }

  function chart(figure) {
    const data = JSON.parse(figure.querySelector("script.data").textContent);
    const { box } = data, plots = all("svg.plot", figure), hidden = new Set();
    const state = { x: "samples", y: "auto", clip: true };
    const series = data.series.map((s, i) => ({
      ...s, i, path: figure.querySelector(`[data-s="${i}"]`),
      st: s.st || s.x.map((x) => Math.round(x / s.r)),
    }));
    const xs = (s) => state.x === "steps" ? s.st : state.x === "time" ? s.s : s.x;
    const shown = (s) => !hidden.has(s.c) && !(s.path && s.path.classList.contains("out"));
    const isLog = (p) => state.y === "auto" ? data.log[p] : state.y === "log";
    const span = { x: [0, 1], y: [], left: box.l };
    // the height that belongs to a width: one plot alone grows with it
    const tall = () => plots.length > 1 ? box.high : Math.round(Math.min(box.high, Math.max(190, box.w * .42)));
    box.high = box.h;

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
      const flat = top - low <= box.flat * Math.max(Math.abs(low), Math.abs(top));
      if (log) return flat ? [low / 2, low * 2] : [low / 1.08, top * 1.08];
      const pad = flat ? Math.abs(low) * .1 || 1 : (top - low) * .05;
      return [low < 0 || low - pad > 0 ? low - pad : 0, top + pad];
    }
    const px = (x) => span.left + (box.w - span.left - box.r) * x / span.x[1];
    function py(y, p) {
      const log = isLog(p), f = log ? (v) => Math.log(Math.max(v, 1e-300)) : (v) => v;
      const [a, b] = span.y[p].map(f), share = Math.min(1.5, Math.max(-.5, (f(y) - a) / (b - a)));
      return box.t + (box.h - box.t - box.b) * (1 - share);
    }

    const cut = (text, most) => text.length <= most ? text : text.slice(0, most - 1) + "…";
    function across(svg, right, base) {
      const [name, size] = state.x === "time" ? unitOf(span.x[1]) : ["", 1];
      const at = ticks(0, span.x[1] / size, false), labels = tickLabels(at), marks = svg.querySelector(".x");
      marks.replaceChildren();
      at.forEach((t, k) => {
        const x = px(t * size), end = x > right - 12;
        marks.append(node("path", { class: "a", d: `M${x} ${base}v4` }),
          node("text", { class: end ? "e" : "c", x: end ? box.w - 1 : x, y: base + 15 }, labels[k]));
      });
      svg.querySelector(".line").setAttribute("d", `M${span.left} ${base}H${right}`);
      const words = svg.querySelector(".name");
      words.setAttribute("x", right);
      words.setAttribute("y", base + 29);
      words.textContent = state.x === "time" ? `time (${name})` : state.x;
    }

    function draw() {
      const live = series.filter(shown), use = live.length ? live : series;
      const ends = state.x === "samples" ? data.bands.map((b) => b.x[b.x.length - 1]) : [];
      span.x = [0, Math.max(...use.map((s) => xs(s)[s.x.length - 1]), ...ends) || 1];
      const rulers = plots.map((_, p) => {
        const log = isLog(p), own = data.own ? use.filter((s) => s.p === p) : use;
        span.y[p] = range(own, log, data.floors[p]);
        const at = ticks(...span.y[p], log);
        return [at, tickLabels(at)];
      });
      span.left = Math.max(box.l, ...rulers.flatMap(([, labels]) => labels.map((t) => box.digit * t.length + 8)));
      const right = box.w - box.r, base = box.h - box.b;
      plots.forEach((svg, p) => {
        svg.setAttribute("viewBox", `0 0 ${box.w} ${box.h}`);
        const frame = svg.querySelector("clipPath rect");
        for (const [k, v] of [["x", span.left], ["width", box.w - span.left], ["height", base + 1]]) frame.setAttribute(k, v);
        const grid = svg.querySelector(".y"), [at, labels] = rulers[p];
        grid.replaceChildren();
        at.forEach((t, k) => {
          const y = py(t, p);
          grid.append(node("path", { class: "g", d: `M${span.left} ${y}H${right}` }),
            node("text", { class: "e", x: span.left - 5, y: y + 4 }, labels[k]));
        });
        across(svg, right, base);
        for (const m of all(".m", svg)) {
          const x = px(+m.dataset.at.split(" ")[["samples", "steps", "time"].indexOf(state.x)]);
          m.setAttribute("transform", `translate(${x} 0)`);
          m.querySelector("path").setAttribute("d", `M0 ${box.t}V${base}`);
          const words = m.querySelector("text"), room = Math.max(right - x, x - span.left);
          words.setAttribute("class", room > right - x ? "e" : "");
          words.setAttribute("x", room > right - x ? -3 : 3);
          if (words.textContent) words.textContent = cut(m.querySelector("title").textContent, Math.max(4, Math.floor(room / box.letter)));
        }
        for (const f of all("[data-y]", svg)) {
          const y = py(+f.dataset.y, p);
          if (f.tagName === "path") f.setAttribute("d", `M${span.left} ${y}H${right}`);
          else { f.setAttribute("x", right); f.setAttribute("y", y - 3 > box.font ? y - 3 : y + box.font); }
        }
      });
      // a forecast knows samples only
      data.bands.forEach((b, k) => {
        const area = figure.querySelector(`[data-b="${k}"]`), at = (y, n) => px(b.x[n]).toFixed(1) + " " + py(y, b.p).toFixed(1);
        area.classList.toggle("off", state.x !== "samples");
        area.setAttribute("d", "M" + [...b.low.map(at), ...b.high.map(at).reverse()].join("L") + "Z");
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
        const x = (mx - span.left) / (box.w - span.left - box.r) * span.x[1];
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
    // letters keep their size: the plot is drawn as wide as it is shown
    const fit = () => {
      const width = Math.round(plots[0] ? plots[0].getBoundingClientRect().width : 0);
      if (width < 120 || Math.abs(width - box.w) < 2) return;
      box.w = width;
      box.h = tall();
      draw();
    };
    fit();
    new ResizeObserver(fit).observe(figure);
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
  // paper can't be unfolded
  addEventListener("beforeprint", () => all("details").forEach((d) => { d.open = true; }));
})();
