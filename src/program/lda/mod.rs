//! Latent Dirichlet allocation: which topics a collection of documents is about.
//!
//! Each document is a mixture θ_d ~ Dirichlet(α) of K topics, each topic a distribution
//! φ_k ~ Dirichlet(β) over V words (Blei, Ng & Jordan, JMLR 2003). θ and φ are integrated out; what
//! is sampled is the topic z of every token, from its exact conditional given all others (collapsed
//! Gibbs: Griffiths & Steyvers, PNAS 2004):
//!
//! ```text
//! p(z = k)  ∝  (n_dk + α_k) (n_wk + β) / (n_k + Vβ)
//! ```
//!
//! **Objective**: the collapsed joint log-likelihood ln p(w,z), higher is better; its formula is in
//! `likelihood.rs`. **Expected**: on UCI's KOS posts with `-k 50`, about −8.18 per token after 100
//! passes, from −9.83 after the first.
//!
//! **Model-parallel** (STRADS: Lee et al., NIPS 2014; the default). Documents stay with their
//! workers. Words are cut into blocks that rotate around the workers: *schedule* says which block a
//! worker has next, *push* draws the tokens of its words, so a word's counts are never stale and
//! never written by two. Only the K totals n_k are shared under the staleness bound. The first pass
//! gives each token its first topic from the same conditional, given what was drawn before it.
//! **Data-parallel** (`--parallel data`, for comparison): all n_wk are shared under the bound.
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | the flags |
//! | `block.rs` | the sparse counts n_wk of a block, in the bytes that travel |
//! | `documents.rs`, `entries.rs` | the counts n_dk, dense or sparse |
//! | `tokens.rs` | a worker's tokens in the order in which words come by |
//! | `sampler/` | the draw |
//! | `part.rs` | what one worker holds, and what it does when a word comes by |
//! | `load.rs` | from a corpus to parts |
//! | `statistics.rs`, `likelihood.rs` | counts of counts, and the objective |
//! | `priors.rs` | `--optimize-alpha`, `--optimize-beta` |
//! | `heldout.rs` | `--holdout` |
//! | `evaluate.rs`, `coherence.rs`, `left_to_right.rs` | what is found out once, at the end |
//! | `checkpoint.rs` | what a run goes on from |
//! | `save.rs`, `topics.rs` | the model, and its topics for people |
//! | `predict.rs`, `infer.rs` | `petuum predict`: the topics of unseen documents |
//! | `generate.rs`, `themes.rs` | documents with planted topics, and the words of the built-in sample |

mod block;
mod checkpoint;
mod coherence;
mod documents;
mod entries;
mod evaluate;
pub mod generate;
mod heldout;
mod infer;
mod left_to_right;
mod likelihood;
mod load;
mod options;
mod part;
pub mod predict;
mod priors;
mod sampler;
mod save;
mod statistics;
mod themes;
mod tokens;
mod topics;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::data::Vocabulary;
use crate::engine::{Defaults, Host, Objective, Program, Worker};
use crate::error::{Error, Result};
use crate::ps::{ElementType, TableKind, TableSpec, World};
use crate::scheduler::rotation::{Rotation, Turn};
use crate::snapshot::{Model, Tensor};
use crate::wire::message::{Clock, TableId, WorkerId};

use super::About;
use block::Block;
pub use options::{Options, Parallel};
use part::Part;
use priors::Priors;
use crate::scheduler::partition::Partition;
use statistics::Statistics;

/// What the command line says about this recipe.
pub const ABOUT: About = About {
    summary: "Topic models: latent Dirichlet allocation",
    description: "Finds the topics of a collection of documents, each topic a distribution over words, by collapsed Gibbs sampling. The objective is the collapsed joint log-likelihood ln p(w,z), higher is better. One clock is one pass over all tokens unless --clocks-per-pass says otherwise.",
    data: "docword   UCI: three header lines, then `document word count`, from 1\nlda-c     `M word:count ...`, words from 0\nlibsvm    `label word:count ...`, words from 1\ntext      one document a line\ncache     what petuum convert wrote",
    examples: "petuum lda                                       # the built-in sample\npetuum lda docword.kos.txt.gz -k 50 -o kos       # 50 topics, saved\npetuum lda posts.txt --stop-words en.txt --min-count 5 --optimize-alpha\npetuum lda docword.kos.txt.gz --holdout 0.1      # with held-out perplexity",
    defaults: Defaults {
        staleness: 1,
        clocks: 100,
        clocks_per_pass: 1,
        tolerance: None,
    },
};

/// The table of n_k: one row.
const TOTALS: TableId = 0;
/// The table of n_wk: exclusive blocks, or under `--parallel data` shared rows.
const WORDS: TableId = 1;
/// How often a pass reads the totals afresh under `--parallel data`.
const DATA_TURNS: u64 = 16;
/// The priors are optimised every so many passes.
const PRIORS_EVERY: u64 = 10;

/// The recipe, from flags that were checked.
pub fn new(options: Options) -> Result<impl Program> {
    Lda::new(options)
}

/// Latent Dirichlet allocation.
struct Lda {
    options: Options,
    /// What `load` found out.
    setup: Setup,
}

/// What all ranks know once the data are loaded.
struct Setup {
    topics: u32,
    partition: Partition,
    rotation: Rotation,
    clocks_per_pass: u64,
    /// After so many turns another worker has the block of a turn.
    stride: u64,
    /// Turns of a worker in a pass.
    turns_per_pass: u64,
    vocabulary: Option<Vocabulary>,
    documents: u64,
}

/// One turn of a worker, counted through all passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Task {
    turn: u64,
    /// The turns of this clock.
    first: u64,
    end: u64,
}

impl Program for Lda {
    type Part = Part;
    type Task = Task;
    type Partial = Statistics;
    type Update = Priors;

    fn columns(&self) -> Vec<&'static str> {
        vec!["loglik_per_token", "heldout_perplexity"]
    }

    fn maximises(&self) -> bool {
        true
    }

    fn tables(&self, _world: &World) -> Vec<TableSpec> {
        let Setup {
            topics: width,
            partition,
            ..
        } = &self.setup;
        let (width, rows) = (*width, partition.variables() as u64);
        let shared = |rows, element, sparse| TableKind::Shared {
            rows,
            width,
            element,
            sparse,
        };
        let words = match self.options.parallel {
            Parallel::Model => TableKind::Exclusive {
                blocks: partition.blocks(),
            },
            Parallel::Data => shared(rows, ElementType::I32, true),
        };
        vec![
            TableSpec {
                name: "topic_totals",
                kind: shared(1, ElementType::I64, false),
            },
            TableSpec {
                name: "word_topics",
                kind: words,
            },
        ]
    }

    fn load(&mut self, host: &Host) -> Result<Vec<Part>> {
        let (setup, parts) = load::load(&self.options, host)?;
        self.setup = setup;
        Ok(parts)
    }

    fn schedule(&self, clock: Clock, _worker: WorkerId, _world: &World) -> Vec<Task> {
        let Range { start: first, end } = self.turns(clock as u64);
        (first..end).map(|turn| Task { turn, first, end }).collect()
    }

    fn push(&self, part: &mut Part, task: Task, worker: &mut Worker) -> Result<()> {
        match self.options.parallel {
            Parallel::Model => self.visit_block(part, task, worker),
            Parallel::Data => self.visit_words(part, task, worker),
        }
    }

    fn partial(&self, part: &mut Part, worker: &mut Worker) -> Result<Statistics> {
        let mut statistics = part.statistics();
        if worker.id() == 0 {
            statistics.alpha = part.sampler.alpha().to_vec();
            statistics.beta = part.sampler.beta();
        }
        if self.options.parallel == Parallel::Data {
            statistics.words = Some(part.own_counts(self.setup.partition.block(0)));
        }
        Ok(statistics)
    }

    fn objective(&self, partials: &[Statistics]) -> Result<Objective> {
        let all = Statistics::fold(partials);
        let beta_sum = all.beta * self.setup.partition.variables() as f64;
        let value = likelihood::joint(&all, all.beta, beta_sum);
        let tokens = all.lengths.total();
        let per_token = (tokens > 0).then(|| value / tokens as f64);
        Ok(Objective {
            value,
            columns: vec![per_token, likelihood::perplexity(&all)],
        })
    }

    fn pulls(&self, clock: Clock) -> bool {
        self.optimizes(clock) || self.shows(clock)
    }

    fn pull(&self, clock: Clock, partials: &[Statistics]) -> Result<Option<Priors>> {
        if self.shows(clock) {
            self.show(clock, partials)?;
        }
        if !self.optimizes(clock) {
            return Ok(None);
        }
        let all = Statistics::fold(partials);
        let words = self.setup.partition.variables();
        let beta = match self.options.optimize_beta {
            true => priors::optimize_beta(&all, words),
            false => all.beta,
        };
        let alpha = match self.options.optimize_alpha {
            true => priors::optimize_alpha(&all),
            false => all.alpha,
        };
        Ok(Some(Priors { alpha, beta }))
    }

    fn commit(&self, part: &mut Part, update: &Priors) {
        if update.alpha.len() == part.sampler.alpha().len() {
            part.sampler.set_alpha(&update.alpha);
            part.sampler.set_beta(update.beta);
        }
    }

    fn finish(&self, part: &mut Part, worker: &mut Worker) -> Result<()> {
        let share = match self.options.parallel {
            Parallel::Model => self.blocks_after(worker.id(), worker.at() as u64),
            // Every worker gives its own share of all words.
            Parallel::Data => {
                part.blocks = vec![(0, part.own_counts(self.setup.partition.block(0)))];
                return Ok(());
            }
        };
        for turn in share {
            let block = self.take_block(part, turn, worker)?;
            part.blocks.push((turn.block, block));
        }
        Ok(())
    }

    fn save(&self, parts: Vec<Part>, host: &Host, model: Option<&mut Model>) -> Result<()> {
        save::save(self, &parts, host, model)
    }

    fn checkpoint(&self, part: &Part) -> Vec<Tensor> {
        checkpoint::write(part)
    }

    fn restore(&self, part: &mut Part, tensors: Vec<Tensor>) -> Result<()> {
        checkpoint::read(part, tensors)
    }

    fn rebuild(&self, parts: &mut [Part], from: Clock, host: &Host) -> Result<()> {
        checkpoint::rebuild(self, parts, from as u64, host)
    }
}

impl Lda {
    fn new(options: Options) -> Result<Lda> {
        if options.left_to_right.is_some() && options.holdout == 0.0 {
            let message = "--left-to-right: means nothing without --holdout";
            return Err(Error::Usage(message.into()));
        }
        let setup = Setup {
            topics: options.topics.unwrap_or(1),
            partition: Partition::balanced(&[], 1),
            rotation: Rotation::new(1, 1),
            clocks_per_pass: 1,
            stride: 1,
            turns_per_pass: 1,
            vocabulary: None,
            documents: 0,
        };
        Ok(Lda { options, setup })
    }

    /// The turns that every worker takes in `clock`, counted through all passes.
    fn turns(&self, clock: u64) -> Range<u64> {
        let Setup {
            turns_per_pass: turns,
            clocks_per_pass: clocks,
            ..
        } = self.setup;
        let (pass, part) = (clock / clocks, clock % clocks);
        let at = |part| pass * turns + turns * part / clocks;
        at(part)..at(part + 1)
    }

    /// The pass that `clock` ends, if it ends one, from 1.
    fn pass_ended(&self, clock: Clock) -> Option<u64> {
        let clocks = clock as u64 + 1;
        let per_pass = self.setup.clocks_per_pass;
        clocks.is_multiple_of(per_pass).then_some(clocks / per_pass)
    }

    /// True if the priors are optimised after `clock`.
    fn optimizes(&self, clock: Clock) -> bool {
        let wanted = self.options.optimize_alpha || self.options.optimize_beta;
        wanted && self.pass_ended(clock).is_some_and(|pass| pass.is_multiple_of(PRIORS_EVERY))
    }

    /// True if topics are written after `clock`.
    fn shows(&self, clock: Clock) -> bool {
        self.pass_ended(clock).is_some() && self.shows_after(clock)
    }

    /// True if topics are written after the pass that `clock` is in.
    fn shows_after(&self, clock: Clock) -> bool {
        let pass = clock as u64 / self.setup.clocks_per_pass + 1;
        let every = self.options.topics_every;
        every.is_some_and(|every| pass.is_multiple_of(u64::from(every)))
    }

    /// Writes the topics as they are after `clock`.
    fn show(&self, clock: Clock, partials: &[Statistics]) -> Result<()> {
        let (Some(pass), Some(folder)) = (self.pass_ended(clock), &self.options.topics_folder) else {
            return Ok(());
        };
        let all = Statistics::fold(partials);
        let mut best = topics::Best::new(all.topics.len(), self.options.top_words as usize);
        let tops = all.blocks.iter().flat_map(|block| &block.top);
        tops.for_each(|&[topic, word, count]| best.meet(topic, word, count));
        let shares: Vec<_> = partials.iter().filter_map(|part| part.words.as_ref()).collect();
        if !shares.is_empty() {
            let shares: Vec<_> = shares.into_iter().map(Block::rows).collect();
            let whole = checkpoint::sum(&shares, self.setup.topics);
            best.meet_block(&whole, self.setup.partition.block(0), &self.setup.partition);
        }
        let described = best.describe(&all.totals(), all.beta, self.setup.partition.variables());
        let path = folder.join(format!("topics-{pass}.txt"));
        topics::write_file(&path, &described, &all.alpha, self.setup.vocabulary.as_ref())
    }

    /// The turns that `worker` would take next after `clocks` clocks, one for each block that no
    /// other worker has before it.
    fn blocks_after(&self, worker: WorkerId, clocks: u64) -> Vec<Turn> {
        let next = self.turns(clocks).start;
        (next..next + self.setup.stride)
            .map(|turn| self.setup.rotation.task(worker, turn))
            .collect()
    }

    /// The block of a turn: held since the run began, or new, or from the worker before.
    fn take_block(&self, part: &mut Part, turn: Turn, worker: &mut Worker) -> Result<Block> {
        if let Some(held) = part
            .blocks
            .iter()
            .position(|(block, _)| *block == turn.block)
        {
            return Ok(part.blocks.swap_remove(held).1);
        }
        let words = self.setup.partition.block(turn.block).len() as u32;
        if turn.first {
            return Ok(Block::empty(self.setup.topics, words));
        }
        let block: Block = worker.acquire(WORDS, turn.block, turn.turn)?;
        if (block.words(), block.topics()) != (words, self.setup.topics) {
            return Err(Error::Other(format!(
                "a peer sent word block {} of another model",
                turn.block
            )));
        }
        Ok(block)
    }

    /// One turn with a block: draws, tells the totals, hands the block on.
    fn visit_block(&self, part: &mut Part, task: Task, worker: &mut Worker) -> Result<()> {
        let partition = &self.setup.partition;
        let turn = self.setup.rotation.task(worker.id(), task.turn);
        let mut block = self.take_block(part, turn, worker)?;
        hear_totals(part, worker)?;
        part.visit(
            partition,
            turn.block,
            &mut block,
            &mut worker.rng(2 * task.turn),
        );
        tell_totals(part, worker);
        // Where a clock is too short for all blocks, the latest counts of each are kept for later.
        let due = worker.evaluating() || self.pulls(worker.at());
        let notes = due || task.end - task.first < self.setup.stride;
        let top = match self.shows_after(worker.at()) {
            true => self.options.top_words as usize,
            false => 0,
        };
        let is_last = task.turn + self.setup.stride >= task.end;
        if part.held_out.is_some() || (notes && is_last) {
            worker.off_clock(|worker| {
                if notes && is_last {
                    part.note_block(turn.block, turn.turn, &block);
                    part.note_top(partition, turn.block, &block, top);
                }
                let rng = &mut worker.rng(2 * task.turn + 1);
                let scores = notes && self.after_first_pass(task);
                part.visit_held_out(partition, turn.block, &block, scores, rng);
            });
        }
        worker.hand_over(WORDS, turn.block, turn.turn + 1, turn.next, block);
        Ok(())
    }

    /// One turn with some of this worker's words, their counts read from the shared table.
    fn visit_words(&self, part: &mut Part, task: Task, worker: &mut Worker) -> Result<()> {
        let partition = &self.setup.partition;
        if task.turn == task.first {
            let words = &part.positions[self.segment(part, task.first..task.end)];
            let mut rows: Vec<u64> = words
                .iter()
                .map(|&p| u64::from(partition.variable(p)))
                .collect();
            rows.sort_unstable();
            worker.prefetch(WORDS, &rows);
        }
        hear_totals(part, worker)?;
        let mut rng = worker.rng(2 * task.turn);
        let mut of_held_out = worker.rng(2 * task.turn + 1);
        let (mut row, mut changes) = (vec![], vec![]);
        for index in self.segment(part, task.turn..task.turn + 1) {
            let position = part.positions[index];
            let word = u64::from(partition.variable(position));
            row.clear();
            worker.read_sparse(WORDS, word, |topic, count| row.push((topic, count)))?;
            part.add_restored(index, &mut row);
            part.visit_word(position, &row, &mut changes, &mut rng);
            for &(topic, change) in &changes {
                worker.inc_sparse(WORDS, word, topic, change);
            }
            if part.held_out.is_some() {
                let evaluates = worker.evaluating() || self.setup.clocks_per_pass > 1;
                let score = evaluates && self.after_first_pass(task);
                worker.off_clock(|_| {
                    part.meet_held_out(position, &row, score, &mut of_held_out);
                });
            }
        }
        tell_totals(part, worker);
        Ok(())
    }

    /// False while tokens may still be without a topic: φ is then no distribution yet.
    fn after_first_pass(&self, task: Task) -> bool {
        task.turn >= self.setup.turns_per_pass
    }

    /// Which of a worker's words its turns `turns`, of one pass, are about.
    fn segment(&self, part: &Part, turns: Range<u64>) -> Range<usize> {
        let (words, per_pass) = (part.positions.len() as u64, self.setup.turns_per_pass);
        let pass = turns.start / per_pass * per_pass;
        let at = |turn: u64| (words * (turn - pass) / per_pass) as usize;
        at(turns.start)..at(turns.end)
    }
}

/// Reads n_k into the sampler.
fn hear_totals(part: &mut Part, worker: &mut Worker) -> Result<()> {
    part.begin(worker.read::<i64>(TOTALS, 0)?);
    Ok(())
}

/// Adds what the sampler changed in n_k since, and lets others know.
fn tell_totals(part: &mut Part, worker: &mut Worker) {
    worker.inc(TOTALS, 0, part.changes_of_totals());
    worker.publish();
}
