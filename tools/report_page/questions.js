// What the pages' tables of questions have in common: filters, sorting, a page at a time. A page's
// own script says what a row is and which rows are found, and starts it.

const PAGE = 25;
const view = {
  rows: data.questions,
  sort: 'qid',
  descending: false,
  page: 0
};
const $ = (id) => document.getElementById(id);

// What all questions are looked for in: set by a page's script, row.text.
function matchesText(row) {
  const words = $('filter-text').value.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => row.text.includes(word)) &&
      (!$('filter-type').value || row.types.includes($('filter-type').value));
}

function compare(a, b) {
  const [x, y] = [a[view.sort] ?? '', b[view.sort] ?? ''];
  const order =
      typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
  return (view.descending ? -order : order) || a.qid - b.qid;
}

// `matches`: whether a row is found; `questionRow`: its <tr>; `found`: the line about the rows of
// the view.
function startQuestions({matches, questionRow, found}) {
  const showPage = () => {
    const pages = Math.max(1, Math.ceil(view.rows.length / PAGE)), from = view.page * PAGE;
    document.querySelector('#table tbody')
        .replaceChildren(...view.rows.slice(from, from + PAGE).map(questionRow));
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
  };
  const update = () => {
    view.rows = data.questions.filter(matches).sort(compare);
    view.page = 0;
    $('found').textContent = found();
    showPage();
  };
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
}
