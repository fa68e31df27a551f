// The data sets, one line each: the deck knows their names from here, the data stage their readers.
// Fed by nothing; feeds config/keys.h and data/annotations.h. Another data set is one line here and
// src/data/sets/NAME.cpp, which defines read_NAME and NAME_form (see data/annotations.h).
#pragma once

/// X(name, options of every question or 0 where that varies, whether data.subtitles may be true)
#define BOVILA_DATASETS(X)                                                 \
  X(star, 4, false)           /* situated reasoning */                     \
  X(dramaqa, 5, false)        /* shots and scenes of one series */         \
  X(vlep, 2, true)            /* what happens next */                      \
  X(tvqa, 5, true)            /* clips of six series */                    \
  X(how2qa, 4, false)         /* instructional videos */                   \
  X(nextqa, 5, false)         /* causes and order of actions */            \
  X(intentqa, 5, false)       /* intents in NExT-QA's videos */            \
  X(egoschema, 5, false)      /* long videos of one's own hands */         \
  X(perceptiontest, 3, false) /* perception and reasoning */               \
  X(mvbench, 0, false)        /* twenty tasks */                           \
  X(jsonl, 0, true)           /* one's own, as `bovila answer` reads it */ \
  X(mixture, 0, true)         /* several of these in one */
