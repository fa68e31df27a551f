// The table of questions: filtered, sorted, a page at a time.

const PAGE = 25;
const view = {
  rows: data.questions,
  sort: 'qid',
  descending: false,
  page: 0
};
const $ = (id) => document.getElementById(id);

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
  const words = $('filter-text').value.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => row.text.includes(word)) &&
      (!$('filter-type').value || row.types.includes($('filter-type').value)) &&
      (!$('filter-result').value || row.result === $('filter-result').value) && !(row.u < low) &&
      !(row.u > high);  // no number: no limit
}

function compare(a, b) {
  const [x, y] = [a[view.sort] ?? '', b[view.sort] ?? ''];
  const order =
      typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
  return (view.descending ? -order : order) || a.qid - b.qid;
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

function showPage() {
  const pages = Math.max(1, Math.ceil(view.rows.length / PAGE)), from = view.page * PAGE;
  const shown = view.rows.slice(from, from + PAGE);
  document.querySelector('#table tbody').replaceChildren(...shown.map(questionRow));
  $('page').textContent = `Page ${view.page + 1} of ${pages}`;
  $('previous').disabled = view.page === 0;
  $('next').disabled = view.page === pages - 1;
  for (const button of document.querySelectorAll('#table th button')) {
    const here = button.dataset.sort === view.sort;
    button.closest('th').setAttribute(
        'aria-sort',
        !here               ? 'none' :
            view.descending ? 'descending' :
                              'ascending');
  }
}

function update() {
  view.rows = data.questions.filter(matches).sort(compare);
  view.page = 0;
  const known = view.rows.filter((row) => row.ans !== undefined);
  const right = known.filter((row) => row.result === 'right').length;
  const share = known.length ? `, ${(100 * right / known.length).toFixed(1)} % right` : '';
  $('found').textContent = data.questions.length ?
      `${view.rows.length} of ${data.questions.length} questions${share}` :
      'There are no questions yet.';
  showPage();
}

for (const type of [...new Set(data.questions.flatMap((row) => row.types))].sort()) {
  $('filter-type').append(element('option', {}, type));
}
for (const event of ['input', 'change']) $('filters').addEventListener(event, update);
$('filters').addEventListener('reset', () => setTimeout(update));
$('filters').addEventListener('submit', (event) => event.preventDefault());
document.querySelector('#table thead').addEventListener('click', (event) => {
  const name = event.target.dataset.sort;
  if (!name) return;
  view.descending = view.sort === name && !view.descending;
  view.sort = name;
  update();
});
for (const [id, step] of [['previous', -1], ['next', 1]]) {
  $(id).addEventListener('click', () => {
    view.page += step;
    showPage();
  });
}
update();
