// The interactive view of the hidden state. All numbers come from the page's data; nothing is loaded.
(() => {
  "use strict";
  const root = document.currentScript.closest(".trajectory-view");
  const find = (selector) => root.querySelector(selector);
  const data = JSON.parse(find(".data").textContent);
  const plot = find(".plot"), status = find(".status"), slider = find(".epoch");
  const colour = find(".colour"), quiet = find(".quiet");
  const final = data.epochs.length - 1;
  const FIRST_EYE = { angle: -1.25, height: 0.75, radius: 1.8 };
  const CENTER = { x: 0, y: 0, z: -0.18 }; // the titles of the axes need room below
  const FAINT = 0.3; // opacity of the path with noise, while those without it are shown
  const NARROW = 1.15; // a plot with a smaller width over height is seen from further away

  /** The library is kept compressed, for a page of less than half the size. */
  async function loadLibrary() {
    const packed = Uint8Array.from(atob(find(".library").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    script.remove();
  }

  function hasWebGL() {
    const gl = document.createElement("canvas").getContext("webgl");
    gl?.getExtension("WEBGL_lose_context")?.loseContext();
    return Boolean(gl);
  }

  const shown = () => (slider ? Number(slider.value) : final);

  /** Points for which `keep` holds, with gaps elsewhere; each stay begins at the point before it. */
  function stays(points, keep) {
    const at = points[0].map((_, i) => (keep(i) || (i + 1 < points[0].length && keep(i + 1)) ? i : null));
    return pick(points, at.flatMap((i) => (i !== null && !keep(i) ? [null, i] : [i])));
  }

  const pick = (points, indices) => {
    const [x, y, z] = points.map((values) => indices.map((i) => (i === null ? null : values[i])));
    return { x, y, z };
  };

  const base = (mode, name) => ({ type: "scatter3d", mode, name, connectgaps: false });

  /** A line and its points for all steps of one kind, under one entry of the legend. */
  function group(points, labels, keep, name, color) {
    const steps = labels.map((_, i) => i).filter(keep);
    const shared = { legendgroup: name };
    return [
      { ...base("lines", name), ...shared, ...stays(points, keep), line: { color, width: 3 }, opacity: 0.75, hoverinfo: "skip", showlegend: false },
      { ...base("markers", name), ...shared, ...pick(points, steps), marker: { color, size: 3 }, customdata: steps.map((i) => [i + 1, labels[i]]), hovertemplate: "step %{customdata[0]}, %{customdata[1]}<extra></extra>" },
    ];
  }

  function byKind(points, kinds, entries, theme) {
    const labels = kinds.map((kind) => entries.find((entry) => entry.kind === kind)?.name ?? "");
    return entries.flatMap(({ kind, name, color }) =>
      group(points, labels, (i) => kinds[i] === kind, name, color ?? theme.muted));
  }

  function byPhase(points, phase, theme) {
    const scale = { color: phase, colorscale: data.cyclic, cmin: -Math.PI, cmax: Math.PI };
    const colorbar = {
      orientation: "h", x: 0.5, y: 0, yanchor: "top", ypad: 0, len: 0.9, thickness: 10, outlinewidth: 0,
      tickvals: [-1, -0.5, 0, 0.5, 1].map((turn) => turn * Math.PI), ticktext: ["−π", "−π/2", "0", "π/2", "π"],
      tickfont: { color: theme.ink },
    };
    const [x, y, z] = points;
    return [{
      ...base("lines+markers", "phase"), x, y, z, line: { ...scale, width: 3 },
      marker: { ...scale, size: 3, colorbar }, showlegend: false,
      customdata: phase.map((_, i) => i + 1), hovertemplate: "step %{customdata}, phase %{marker.color:.2f}<extra></extra>",
    }];
  }

  function withoutNoise(paths, theme) {
    const joined = [0, 1, 2].map((c) => paths.flatMap((path) => [...path[c], null]));
    const ends = [0, 1, 2].map((c) => paths.map((path) => path[c].at(-1)));
    const shared = { legendgroup: "quiet", hoverinfo: "skip" };
    const [x, y, z] = joined, [ex, ey, ez] = ends;
    return [
      { ...base("lines", "without noise"), ...shared, x, y, z, line: { color: theme.ink, width: 4 } },
      { ...base("markers", "their ends"), ...shared, x: ex, y: ey, z: ez, marker: { color: theme.ink, size: 4, symbol: "diamond" } },
    ];
  }

  function traces(s, theme) {
    const points = data.driven[s];
    const path = {
      symbol: () => byKind(points, data.symbols[s], data.symbolKinds, theme),
      zone: () => byKind(points, s === final ? data.zones : data.zones.map(() => -1), data.zoneKinds, theme),
      phase: () => byPhase(points, data.phase[s], theme),
    }[colour.value]();
    if (!quiet.checked) return path;
    return [...path.map((trace) => ({ ...trace, opacity: FAINT })), ...withoutNoise(data.quiet[s], theme)];
  }

  function layout(s, theme) {
    const narrow = plot.clientWidth < 480;
    const axis = (c) => ({
      title: { text: narrow ? data.axes[c].replace(" of variance", "") : data.axes[c], font: { size: 13 } }, range: data.ranges[s][c], tickfont: { size: 12 },
      nticks: 5, color: theme.ink, gridcolor: theme.line, gridwidth: 2, zeroline: false, showbackground: false, showspikes: false,
    });
    const lengths = data.ranges[s].map(([low, high]) => high - low);
    const [x, y, z] = lengths.map((length) => length / Math.max(...lengths));
    return {
      autosize: true, uirevision: "camera", paper_bgcolor: "rgba(0,0,0,0)", font: { color: theme.ink, family: theme.font, size: 13 },
      margin: { l: 0, r: 0, b: colour.value === "phase" ? 32 : 0, t: 32 }, showlegend: true,
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", itemsizing: "constant", bgcolor: "rgba(0,0,0,0)" },
      hoverlabel: { bgcolor: theme.panel, bordercolor: theme.line, font: { color: theme.ink } },
      scene: { xaxis: axis(0), yaxis: axis(1), zaxis: axis(2), aspectmode: "manual", aspectratio: { x, y, z }, bgcolor: "rgba(0,0,0,0)", camera: { eye: seenFrom(firstEye()), center: CENTER }, dragmode: "turntable", uirevision: "camera" },
    };
  }

  const CONFIG = {
    displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: false, showSendToCloud: false, plotlyServerURL: "",
  };

  /** Colours of the page, light or dark. */
  function currentTheme() {
    const style = getComputedStyle(root);
    const named = (name, other) => style.getPropertyValue(name).trim() || other;
    return {
      ink: named("--ink", style.color), muted: named("--muted", "#888888"), line: named("--line", "#888888"),
      panel: named("--panel", "#888888"), font: style.fontFamily,
    };
  }

  function describe(s) {
    const epoch = `epoch ${data.epochs[s]}${s === final ? " (final)" : ""}`;
    if (slider) {
      find("output").textContent = epoch;
      slider.setAttribute("aria-valuetext", epoch);
    }
    const notes = [];
    if (data.diverged[s]) notes.push("The states of this network are not finite: where they are missing, it diverges.");
    if (data.longer[s] > 1.5) notes.push(`Axes up to ${data.longer[s]} times as long as those of the final network.`);
    if (colour.value === "zone" && s !== final) notes.push("Residency zones are computed for the final network only: move the slider to its end.");
    status.textContent = notes.join(" ");
  }

  async function draw() {
    try {
      root.ariaBusy = "true";
      const s = shown(), theme = currentTheme();
      describe(s);
      await Plotly.react(plot, traces(s, theme), layout(s, theme), CONFIG);
      root.ariaBusy = "false";
    } catch (error) {
      fail(`The interactive view could not be drawn (${error.message}).`);
      throw error;
    }
  }

  function fail(why) {
    find(".controls").hidden = plot.hidden = true;
    status.textContent = why;
    root.ariaBusy = "false";
  }

  function firstEye() {
    const shape = plot.clientWidth / plot.clientHeight;
    return { ...FIRST_EYE, radius: FIRST_EYE.radius * Math.max(1, NARROW / shape) };
  }

  const seenFrom = ({ angle, height, radius }) => ({
    x: radius * Math.cos(height) * Math.cos(angle), y: radius * Math.cos(height) * Math.sin(angle), z: radius * Math.sin(height),
  });

  const STEP = Math.PI / 18;
  const MOVES = {
    ArrowLeft: (eye) => ({ ...eye, angle: eye.angle - STEP }),
    ArrowRight: (eye) => ({ ...eye, angle: eye.angle + STEP }),
    ArrowUp: (eye) => ({ ...eye, height: Math.min(1.5, eye.height + STEP) }),
    ArrowDown: (eye) => ({ ...eye, height: Math.max(-1.5, eye.height - STEP) }),
    "+": (eye) => ({ ...eye, radius: eye.radius / 1.1 }),
    "-": (eye) => ({ ...eye, radius: eye.radius * 1.1 }),
    0: () => firstEye(),
  };

  function move(key) {
    const { x, y, z } = plot.layout.scene.camera.eye, radius = Math.hypot(x, y, z);
    const eye = MOVES[key]({ angle: Math.atan2(y, x), height: Math.asin(z / radius), radius });
    return Plotly.relayout(plot, { "scene.camera": { ...plot.layout.scene.camera, eye: seenFrom(eye) } });
  }

  function onKey(event) {
    if (!(event.key in MOVES) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(event.key);
  }

  /** The wheel zooms once the view was clicked; before, it scrolls the page. */
  function onWheel(event) {
    if (document.activeElement !== plot || event.deltaY === 0) return;
    event.preventDefault();
    move(event.deltaY < 0 ? "+" : "-");
  }

  async function start() {
    if (!hasWebGL()) {
      return fail("The interactive view needs WebGL, which this browser does not have or has switched off. The figures show the same paths.");
    }
    if (!("DecompressionStream" in window)) {
      return fail("The interactive view needs a newer browser. The figures show the same paths.");
    }
    await loadLibrary();
    find(".controls").hidden = plot.hidden = false;
    await draw();
    for (const control of [slider, colour, quiet]) control?.addEventListener("input", draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    plot.addEventListener("keydown", onKey);
    plot.addEventListener("wheel", onWheel, { passive: false });
    plot.addEventListener("pointerdown", () => plot.focus({ preventScroll: true }), { capture: true });
    find(".reset").addEventListener("click", () => move("0"));
    plot.on("plotly_webglcontextlost", () => fail("The browser has closed the interactive view (its WebGL context was lost); load the page again."));
  }

  start().catch((error) => {
    fail(`The interactive view could not be drawn (${error.message}).`);
    console.error(error);
  });
})();
