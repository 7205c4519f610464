// Draws <figure data-chart>: the data is JSON inside the page, ECharts is fetched only when a chart comes into view, and
// colours are those of the style sheet. Shape of the data: see templates/components/charts.html.
(() => {
  const figures = [...document.querySelectorAll("[data-chart]")];
  if (!figures.length) return;
  let library;

  function loadLibrary(address) {
    library ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = () => resolve(window.echarts);
      script.onerror = reject;
      document.head.append(script);
    });
    return library;
  }

  // The computed value of a colour token: a canvas cannot read custom properties.
  function color(token) {
    const probe = document.createElement("span");
    probe.className = "sr-only";
    probe.style.color = `var(--${token})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  }

  const formats = {
    percent: (value) => `${+(value * 100).toFixed(1)}%`,
    number: (value) => value.toLocaleString("en"),
    money: (value) => `$${(value / 1e9).toPrecision(2)}`,
    duration: (value) => (value < 1000 ? `${Math.round(value)} ms` : `${+(value / 1000).toPrecision(3)} s`),
  };

  function option(spec) {
    const format = formats[spec.format] ?? formats.number;
    const [text, faint, line, raised] = ["text", "text-faint", "line", "bg-raised"].map(color);
    const palette = ["accent", "pass", "error", "fail", "text-faint"].map(color);
    const font = { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12, color: faint };
    const names = { type: "category", data: spec.x, axisLine: { lineStyle: { color: line } }, axisTick: { show: false }, axisLabel: { ...font, hideOverlap: true } };
    const values = { type: "value", max: spec.format === "percent" ? 1 : undefined, splitLine: { lineStyle: { color: line } }, axisLabel: { ...font, formatter: format } };
    const lying = spec.kind === "bars";
    return {
      animation: false,
      color: palette,
      textStyle: font,
      grid: { left: 8, right: 16, top: spec.series.length > 1 ? 40 : 12, bottom: 8, outerBoundsMode: "same" },
      legend: spec.series.length > 1 ? { type: "scroll", pageIconColor: text, pageIconInactiveColor: line, pageIconSize: 10, pageTextStyle: font, top: 0, left: 0, icon: "circle", itemHeight: 8, textStyle: { ...font, color: text } } : undefined,
      // Rich text: drawn on the canvas, so that no style attribute is needed (the policy forbids them).
      tooltip: { trigger: "axis", renderMode: "richText", backgroundColor: raised, borderColor: line, textStyle: { ...font, color: text }, valueFormatter: format },
      xAxis: lying ? values : names,
      yAxis: lying ? { ...names, inverse: true } : values,
      series: spec.series.map((one) => ({
        name: one.name, data: one.data, type: spec.kind === "line" ? "line" : "bar", stack: spec.stacked ? "all" : undefined,
        barMaxWidth: 22, symbol: "circle", symbolSize: 6, lineStyle: { width: 2 }, connectNulls: false,
        itemStyle: one.color ? { color: color(one.color) } : undefined,
      })),
    };
  }

  async function draw(figure) {
    const spec = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const canvas = figure.querySelector(".chart-canvas");
    const echarts = await loadLibrary(figure.dataset.library);
    canvas.replaceChildren();
    const chart = echarts.init(canvas, null, { renderer: "canvas" });
    const paint = () => chart.setOption(option(spec), true);
    paint();
    new ResizeObserver(() => chart.resize()).observe(canvas);
    document.addEventListener("theme:changed", paint);
    chart.on("click", ({ dataIndex }) => { const address = spec.links?.[dataIndex]; if (address) location.assign(address); });
  }

  const seen = new IntersectionObserver((changes) => {
    for (const change of changes) if (change.isIntersecting) { seen.unobserve(change.target); draw(change.target); }
  }, { rootMargin: "200px" });
  figures.forEach((figure) => seen.observe(figure));
})();
