// What certainties are worth: measures side by side, reliability and risk with their bands.

function certaintyFigures({names, rows, lines, temperature}) {
  const head =
      element('tr', {}, element('td'), ...names.map((name) => element('th', {scope: 'col'}, name)));
  const body = rows.map(
      ([name, ...values]) => element(
          'tr', {}, element('th', {scope: 'row'}, name),
          ...values.map((value) => element('td', {}, value))));
  const scaled = (rows) => rows.map((row) => [100 * row[0], ...row.slice(1).map((v) => 100 * v)]);
  const drawn = (of) => lines.map((line) => {
    const found = scaled(line[of]);
    return {
      name: line.name,
      points: found.map(([x, y]) => [x, y]),
      band: found.map(([x, , low, high]) => [x, low, high])
    };
  });
  const honest = {
    name: 'as certain as right',
    points: [[0, 0], [100, 100]],
    color: 'var(--quiet)',
    dash: '2 3',
    dots: false
  };
  return [
    figure(
        'What certainties are worth',
        element(
            'table', {class: 'measures'}, element('thead', {}, head),
            element('tbody', {}, ...body)),
        element(
            'p', {},
            'u: 1 - uncertainty of the chosen option. probability: the largest of the ' +
                'softmax of minus the scores / temperature. entropy: 1 - its entropy / log of the ' +
                'options.'),
        element('p', {}, temperature)),
    lineChart({
      title: 'Reliability of certainties: how often right, %',
      x: 'mean certainty of questions, %',
      low: 0,
      high: 100,
      lines: [...drawn('reliability'), honest]
    }),
    lineChart({
      title: 'Risk by certainty: wrong of those answered, %',
      x: 'answered, % of the questions',
      low: 0,
      xEnds: {low: 0, high: 100},
      lines: drawn('risk').map((line) => ({...line, dots: false}))
    })
  ];
}
