// The table of one run's questions.

for (const row of data.questions) {
  const sorted = [...row.loss].sort((a, b) => a - b);
  row.margin = sorted.length > 1 ? sorted[1] - sorted[0] : 0;
  row.type = row.types.join(', ');
  row.result = row.ans === undefined ? 'unknown' : row.ans === row.pre ? 'right' : 'wrong';
  row.text =
      [row.question, row.asked, row.vid, row.question_id, ...row.options].join('\n').toLowerCase();
}

function matches(row) {
  const low = parseFloat($('filter-low').value), high = parseFloat($('filter-high').value);
  return matchesText(row) &&
      (!$('filter-result').value || row.result === $('filter-result').value) && !(row.u < low) &&
      !(row.u > high);  // no number: no limit
}

function optionItem(row, text, at) {
  const letter = String.fromCharCode(65 + at), chosen = letter === row.pre,
        right = letter === row.ans;
  const loss = row.loss[at], u = row.uncertainty[at];
  const marks = element(
      'span', {class: 'marks'}, `${right ? '\u2713' : ''}${chosen ? '\u25ba' : ''} ${letter}`);
  if (right || chosen) {
    marks.setAttribute(
        'aria-label',
        `${letter}${right ? ', the right answer' : ''}${chosen ? ', the model\'s answer' : ''}`);
  }
  const item = element(
      'li',
      {class: `${chosen ? 'chosen' : ''} ${
           right      ? 'is-answer' :
               chosen ? 'is-mistake' :
                        ''}`},
      marks, element('span', {}, text));
  if (loss !== undefined) {
    item.append(
        element(
            'span', {class: 'bar', 'aria-hidden': 'true'},
            element('i', {style: `width: ${(100 * Math.exp(-loss)).toFixed(1)}%`})),
        element(
            'span', {class: 'score', title: u === undefined ? '' : `uncertainty ${u.toFixed(3)}`},
            loss.toFixed(3)));
  }
  return item;
}

function questionRow(row) {
  const question = element('td', {class: 'text'}, row.question ?? '');
  if (row.asked !== undefined)
    question.append(element('span', {class: 'asked'}, `Asked itself: ${row.asked}`));
  question.append(element(
      'span', {class: 'video'}, [row.vid, row.question_id].filter(Boolean).join(' \u00b7 ')));
  const note = (text) => question.append(element('span', {class: 'video'}, text));
  if (row.frames) note(`frames ${row.frames}`);
  if (row.turns) note(`chosen in each order of the options: ${row.turns}`);
  const result = element(
      'td', {class: `result ${row.result}`},
      {right: '\u2713 right', wrong: '\u2717 wrong', unknown: ''}[row.result],
      element('span', {}, row.result === 'wrong' ? `${row.pre}, not ${row.ans}` : row.pre));
  return element(
      'tr', {'data-qid': row.qid}, element('td', {class: 'number'}, String(row.qid)),
      element('td', {}, row.type), question,
      element(
          'td', {},
          element(
              'ul', {class: 'options'},
              ...row.options.map((text, at) => optionItem(row, text, at)))),
      element('td', {class: 'number'}, row.u.toFixed(3)),
      element('td', {class: 'number'}, row.loss.length > 1 ? row.margin.toFixed(3) : ''), result);
}

function found() {
  const known = view.rows.filter((row) => row.ans !== undefined);
  const right = known.filter((row) => row.result === 'right').length;
  const share = known.length ? `, ${(100 * right / known.length).toFixed(1)} % right` : '';
  return data.questions.length ?
      `${view.rows.length} of ${data.questions.length} questions${share}` :
      'There are no questions yet.';
}

startQuestions({matches, questionRow, found});
