// Charts as SVG, drawn from the page's data: curves, uncertainty, question types, confusion.
// Every text is set as text, never as markup.

const data = JSON.parse(document.getElementById('data').textContent);
const W = 480, H = 240, LEFT = 48, RIGHT = 12, TOP = 10, BOTTOM = 34;
const DASHES = ['', '6 3', '2 3', '8 3 2 3', '3 2 1 2', '10 4'];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function short(value) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1).replace('.0e', 'e');
  return String(Number(value.toPrecision(size >= 1000 ? 5 : 3)));
}

// Round values of an axis between two ends, about five of them.
function ticks(low, high) {
  const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; ++at) {
    found.push(at * step);
  }
  return found;
}

function logTicks(low, high) {
  const found = [];
  for (let power = Math.ceil(Math.log10(low)); 10 ** power <= high * 1.0001; ++power) {
    found.push(10 ** power);
  }
  const every = Math.ceil(found.length / 6);
  return found.length < 2 ? ticks(low, high) : found.filter((_, at) => at % every === 0);
}

// A scale from values to pixels that shows `low` and `high` at least; `whole` numbers are marked
// only.
function scale(values, from, to, {log = false, whole = false, low, high} = {}) {
  let [a, b] = [Math.min(...values), Math.max(...values)];
  if (low !== undefined) a = Math.min(a, low);
  if (high !== undefined) b = Math.max(b, high);
  if (a === b)
    [a, b] = log ? [a / 2, b * 2] : [a - (Math.abs(a) || 1) / 10, b + (Math.abs(b) || 1) / 10];
  const f = log ? Math.log10 : (value) => value;
  const place = (value) => from + ((f(value) - f(a)) / (f(b) - f(a))) * (to - from);
  const marks = log ? logTicks(a, b) : ticks(a, b);
  return {place, ticks: whole ? marks.filter(Number.isInteger) : marks};
}

function frame(x, y, xName) {
  const parts = [];
  for (const value of y.ticks) {
    parts.push(svg(
        'line', {class: 'grid', x1: LEFT, x2: W - RIGHT, y1: y.place(value), y2: y.place(value)}));
    parts.push(
        svg('text', {x: LEFT - 6, y: y.place(value) + 4, 'text-anchor': 'end'}, short(value)));
  }
  for (const value of x.ticks) {
    parts.push(svg(
        'text', {x: x.place(value), y: H - BOTTOM + 16, 'text-anchor': 'middle'}, short(value)));
  }
  parts.push(svg('text', {x: (LEFT + W - RIGHT) / 2, y: H - 3, 'text-anchor': 'middle'}, xName));
  return parts;
}

function picture(label, ...parts) {
  return svg('svg', {viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': label}, ...parts);
}

function color(index) { return `var(--c${index % 6})`; }

function key(lines) {
  const items = lines.map(
      (line, at) => element(
          'li', {},
          svg('svg', {viewBox: '0 0 22 10', 'aria-hidden': 'true'},
              line.filled ? svg('rect', {width: 22, height: 10, rx: 2, fill: line.color}) :
                            svg('line', {
                              x1: 0,
                              x2: 22,
                              y1: 5,
                              y2: 5,
                              stroke: line.color || color(at),
                              'stroke-width': 2.5,
                              'stroke-dasharray': line.dash ?? DASHES[at % 6]
                            })),
          line.name));
  return element('ul', {class: 'key'}, ...items);
}

function figure(title, ...children) {
  return element('figure', {}, element('figcaption', {}, title), ...children);
}

function path(points, x, y) {
  return 'M' +
      points.map(([px, py]) => `${x.place(px).toFixed(1)} ${y.place(py).toFixed(1)}`).join('L');
}

// What is under the mouse: the nearest point's x and every line's value there.
function addCursor(drawing, lines, x, xName) {
  const cursor = svg('g', {visibility: 'hidden'});
  drawing.append(cursor);
  const all = lines.reduce((a, b) => (a.points.length >= b.points.length ? a : b)).points;
  drawing.addEventListener('pointermove', (event) => {
    const box = drawing.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * W;
    const near = all.reduce(
        (a, b) => (Math.abs(x.place(b[0]) - at) < Math.abs(x.place(a[0]) - at) ? b : a))[0];
    const texts = [`${xName} ${short(near)}`];
    for (const line of lines) {
      const found = line.points.find(([px]) => px === near);
      if (found) texts.push(`${line.name} ${short(found[1])}`);
    }
    const px = x.place(near), width = 6.3 * Math.max(...texts.map((t) => t.length)) + 14;
    const left = px + 8 + width > W ? px - 8 - width : px + 8;
    cursor.replaceChildren(
        svg('line', {class: 'cursor', x1: px, x2: px, y1: TOP, y2: H - BOTTOM}),
        svg('rect', {class: 'tip', x: left, y: TOP, width, height: 15 * texts.length + 8, rx: 4}),
        ...texts.map(
            (t, i) => svg('text', {class: 'strong', x: left + 7, y: TOP + 16 + 15 * i}, t)));
    cursor.setAttribute('visibility', 'visible');
  });
  drawing.addEventListener('pointerleave', () => cursor.setAttribute('visibility', 'hidden'));
}

// One chart of lines {name, points, color?, dash?, band?}; a band is [[x, low, high], ...].
function lineChart(chart) {
  const shown =
      chart.lines
          .map((line) => ({...line, points: line.points.filter(([, y]) => !chart.log || y > 0)}))
          .filter((l) => l.points.length);
  if (!shown.length) return figure(chart.title, element('p', {}, 'all values are 0'));
  const x = scale(
      shown.flatMap((l) => l.points.map((p) => p[0])), LEFT, W - RIGHT,
      {...chart.xEnds, whole: ['step', 'epoch'].includes(chart.x)});
  const y = scale(
      shown.flatMap((l) => [...l.points, ...(l.band ?? [])].flatMap((p) => p.slice(1))), H - BOTTOM,
      TOP, chart);
  const drawn = shown.flatMap((line, at) => {
    const stroke = line.color || color(at);
    if (line.points.length === 1) {
      const [px, py] = line.points[0];
      return [svg('circle', {cx: x.place(px), cy: y.place(py), r: 4, fill: stroke})];
    }
    const curve = svg('path', {
      class: 'curve',
      d: path(line.points, x, y),
      stroke,
      'stroke-dasharray': line.dash ?? DASHES[at % 6]
    });
    const band = !line.band ? [] : [svg('path', {
      class: 'band',
      d: path(
          [...line.band, ...line.band.slice().reverse().map(([px, , high]) => [px, high])], x, y),
      fill: stroke
    })];
    const dots = line.points.length > 40 || line.dots === false ?
        [] :
        line.points.map(
            ([px, py]) => svg('circle', {cx: x.place(px), cy: y.place(py), r: 2.5, fill: stroke}));
    return [...band, curve, ...dots];
  });
  const last = shown.map((l) => `${l.name} ${short(l.points.at(-1)[1])}`).join(', ');
  const drawing =
      picture(`${chart.title} by ${chart.x}; last: ${last}`, ...frame(x, y, chart.x), ...drawn);
  addCursor(drawing, shown, x, chart.x);
  return figure(chart.title, key(shown), drawing);
}

function histogramChart(bins) {
  const x = scale([bins[0][0], bins.at(-1)[1]], LEFT, W - RIGHT);
  const y =
      scale(bins.map(([, , right, wrong]) => right + wrong), H - BOTTOM, TOP, {low: 0, high: 1});
  const bars = bins.flatMap(([low, high, right, wrong]) => {
    const bar = (from, to, fill, what) =>
        svg('rect', {
          x: x.place(low) + 1,
          width: x.place(high) - x.place(low) - 2,
          y: y.place(to),
          height: y.place(from) - y.place(to),
          fill
        },
            svg('title', {}, `uncertainty ${short(low)} to ${short(high)}: ${to - from} ${what}`));
    return [
      bar(0, right, 'var(--right)', 'right'), bar(right, right + wrong, 'var(--wrong)', 'wrong')
    ];
  });
  return figure(
      'Uncertainty of right and wrong answers', key([
        {name: 'right', filled: true, color: 'var(--right)'},
        {name: 'wrong, on top', filled: true, color: 'var(--wrong)'}
      ]),
      picture(
          'Histogram of the uncertainty of right and wrong answers', ...frame(x, y, 'uncertainty'),
          ...bars));
}

function typesChart(types) {
  const row = Math.min(44, (H - TOP) / types.length), right = W - 130;
  const longest = Math.max(...types.map(([name]) => name.length));
  const left = Math.min(Math.max(92, 7 * longest + 16), right - 60);  // 7: about a letter's width
  const bars = types.flatMap(([name, good, number], at) => {
    const top = TOP + at * row, share = good / number;
    const height = Math.max(row - 10, row / 2), gap = Math.min(4, row / 4);
    return [
      svg('text', {class: 'strong', x: left - 8, y: top + row / 2 + 3, 'text-anchor': 'end'}, name),
      svg('rect',
          {x: left, y: top + gap, width: right - left, height, rx: 3, fill: 'var(--tint)'}),
      svg('rect', {
        x: left,
        y: top + gap,
        width: (right - left) * share,
        height,
        rx: 3,
        fill: 'var(--right)'
      }),
      svg('text', {class: 'strong', x: right + 8, y: top + row / 2 + 3},
          `${(100 * share).toFixed(1)} % of ${number}`)
    ];
  });
  const label = types.map(([name, good, number]) => `${name} ${(100 * good / number).toFixed(1)} %`)
                    .join(', ');
  return figure('Accuracy by question type', picture(label, ...bars));
}

function confusionTable({letters, counts}) {
  const most = Math.max(1, ...counts.flat());
  const head = element(
      'tr', {}, element('th', {scope: 'col'}, 'right \u2193  model\'s \u2192'),
      ...[...letters].map((letter) => element('th', {scope: 'col'}, letter)));
  const rows = counts.map(
      (row, i) =>
          element('tr', {}, element('th', {scope: 'row'}, letters[i]), ...row.map((count, j) => {
            const hue = i === j ? '--right' : '--wrong';
            return element(
                'td', {
                  class: i === j ? 'diagonal' : '',
                  style: `background: color-mix(in srgb, var(${hue}) ${
                      Math.round(55 * count / most)}%, transparent)`
                },
                String(count));
          })));
  return figure(
      'Confusion of options',
      element(
          'table', {class: 'matrix'}, element('thead', {}, head), element('tbody', {}, ...rows)),
      element(
          'p', {}, 'How often the model chose the column\'s option where the row\'s was right.'));
}

function percent(points) { return points.map(([x, y]) => [100 * x, 100 * y]); }

function answerCharts() {
  const found = [];
  if (data.types.length) found.push(typesChart(data.types));
  const u = data.uncertainty;
  if (u) {
    found.push(histogramChart(u.histogram));
    found.push(lineChart({
      title: 'Reliability: how often right, by uncertainty, %',
      x: 'mean uncertainty of a tenth of the questions',
      low: 0,
      high: 100,
      lines: [
        {name: 'right', points: u.reliability.map(([x, share]) => [x, 100 * share])}, {
          name: '1 - uncertainty',
          points: [u.reliability[0], u.reliability.at(-1)].map(([x]) => [x, 100 * (1 - x)]),
          color: 'var(--quiet)',
          dash: '2 3',
          dots: false
        }
      ]
    }));
    found.push(lineChart({
      title: 'Risk: wrong among the most certain, %',
      x: 'answered, % of the questions',
      low: 0,
      xEnds: {low: 0, high: 100},
      lines: [
        {
          name: `wrong (mean ${(100 * u.mean_risk).toFixed(1)} %)`,
          points: percent(u.risk),
          color: 'var(--wrong)',
          dots: false
        },
        {
          name: 'all answered',
          points: [[0, 100 * u.all], [100, 100 * u.all]],
          color: 'var(--quiet)',
          dash: '2 3',
          dots: false
        }
      ]
    }));
  }
  if (data.types.length && !u) {
    found.push(figure(
        'Uncertainty',
        element('p', {}, 'It is 0 throughout: the run has no evidential loss (loss.edl_mse).')));
  }
  if (data.confusion.letters) found.push(confusionTable(data.confusion));
  return found;
}

function show(id, figures, otherwise) {
  document.getElementById(id).append(
      ...(figures.length ? figures : [element('p', {class: 'message'}, otherwise)]));
}
