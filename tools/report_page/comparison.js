// Several runs: their charts, and the table of questions, filtered by which run is right.

for (const row of data.questions) {
  row.known = row.ans !== undefined;
  for (const answer of row.answers) answer.right = row.known && answer.pre === row.ans;
  row.right = row.answers.filter((answer) => answer.right).length;
  row.text = [row.question, row.vid, row.question_id, ...row.options].join('\n').toLowerCase();
}

// A bar a run, its interval a line over it.
function typeBars([name, runs]) {
  const row = 30, left = 12, right = W - 150;
  const place = (share) => left + (right - left) * share;
  const bars = runs.flatMap((found, at) => {
    const top = TOP + at * row, middle = top + row / 2;
    if (!found) {
      return [svg('text', {x: left, y: middle + 3}, `${data.names[at]}: none`)];
    }
    const [share, low, high, number] = found;
    const ends = [low, high].map((end) => (100 * end).toFixed(1));
    const said = low === null ? '' : `, 95 %: ${ends.join(' to ')}`;
    const parts = [
      svg('rect', {x: left, y: top + 3, width: right - left, height: row - 6, fill: 'var(--tint)'}),
      svg('rect', {
        class: 'bar',
        x: left,
        y: top + 3,
        width: place(share) - left,
        height: row - 6,
        fill: color(at)
      },
          svg('title', {}, `${data.names[at]}: ${(100 * share).toFixed(1)} % of ${number}${said}`)),
      svg('text', {class: 'strong', x: right + 8, y: middle + 3},
          `${(100 * share).toFixed(1)} % of ${number}`)
    ];
    if (low !== null) {
      parts.push(svg('path', {
        class: 'interval',
        d: `M${place(low)} ${middle - 4}v8m0 -4H${place(high)}m0 -4v8`,
        stroke: 'var(--ink)',
        'stroke-width': 1.5,
        fill: 'none'
      }));
    }
    return parts;
  });
  const label =
      runs.map(
              (found, at) =>
                  `${data.names[at]} ${found ? (100 * found[0]).toFixed(1) + ' %' : 'none'}`)
          .join(', ');
  const drawing = picture(label, ...bars);
  drawing.setAttribute('viewBox', `0 0 ${W} ${TOP + row * runs.length}`);
  const keys = data.names.map((text, at) => ({name: text, filled: true, color: color(at)}));
  return figure(
      `Accuracy, ${name === 'all' ? 'all questions' : name}`, key(keys), drawing,
      element('p', {}, 'Lines: intervals of 95 %, clustered by video.'));
}

function matches(row) {
  return matchesText(row) &&
      (!$('filter-differ').checked || (row.right > 0 && row.right < row.answers.length)) &&
      row.answers.every((answer, at) => {
        const wanted = $(`filter-run-${at}`).value;
        return !wanted || (row.known && answer.right === (wanted === 'right'));
      });
}

function optionItem(row, text, at) {
  const letter = String.fromCharCode(65 + at);
  return element(
      'li', {class: letter === row.ans ? 'is-answer' : ''},
      element('span', {class: 'marks'}, `${letter === row.ans ? '\u2713' : ''} ${letter}`),
      element('span', {}, text));
}

function answerCell(row, answer) {
  const result = !row.known ? 'unknown' : answer.right ? 'right' : 'wrong';
  const sign = {right: '\u2713 ', wrong: '\u2717 ', unknown: ''}[result];
  return element(
      'td', {class: `result ${result}`}, `${sign}${answer.pre}`,
      element('span', {}, answer.u.toFixed(3)));
}

function questionRow(row) {
  const about = [row.vid, row.question_id].filter(Boolean).join(' \u00b7 ');
  return element(
      'tr', {'data-qid': row.qid}, element('td', {class: 'number'}, String(row.qid)),
      element('td', {}, row.type),
      element('td', {class: 'text'}, row.question, element('span', {class: 'video'}, about)),
      element(
          'td', {},
          element(
              'ul', {class: 'options short'},
              ...row.options.map((text, at) => optionItem(row, text, at)))),
      ...row.answers.map((answer) => answerCell(row, answer)),
      element('td', {class: 'number'}, row.known ? `${row.right} of ${row.answers.length}` : ''));
}

function found() {
  const known = view.rows.filter((row) => row.known);
  const shares = data.names.map((name, at) => {
    const right = known.filter((row) => row.answers[at].right).length;
    return `${name} ${right} right`;
  });
  return data.questions.length ? `${view.rows.length} of ${data.questions.length} questions` +
          (known.length ? `: ${shares.join(', ')}` : '') :
                          'There are no questions that all runs have answered.';
}

data.names.forEach((name, at) => {
  const choice = element('select', {id: `filter-run-${at}`});
  for (const [value, text] of [['', 'any'], ['right', 'right'], ['wrong', 'wrong']])
    choice.append(element('option', {value}, text));
  $('filter-runs').append(element('label', {}, `${name} `, choice));
});
show('curves', data.curves.map(lineChart), 'There are no steps yet.');
show(
    'answer-charts', data.types.map(typeBars),
    'There is no evaluation yet, or the splits hide their answers.');
startQuestions({matches, questionRow, found});
