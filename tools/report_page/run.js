// The charts of one run, put into their sections.

show('curves', data.curves.map(lineChart), 'There are no steps yet.');
if (data.certainties) show('certainty-charts', certaintyFigures(data.certainties), '');
show(
    'answer-charts', answerCharts(),
    data.questions.length ?
        'The split hides its answers: there is nothing to compare the model\'s with.' :
        'There is no evaluation yet.');
