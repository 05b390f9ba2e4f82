//! CCD++: coordinate descent, one factor of all users and all items after the other.
//!
//! Let e be the residuals without factor f. Given the items' factor v, the best u_i is
//! Σ e_ij v_j / (λ n_i + Σ v_j²), and the other way round (Yu, Hsieh, Si & Dhillon, ICDM 2012). Each
//! step is exact in one coordinate, so that the objective never increases, and costs two passes over
//! the residuals, whatever k. The biases are two factors more, of which one side is 1.
//!
//! The scheduler's way: the factors are the variables, *schedule* says which are next, and no two
//! are ever worked on at once; within one, all users are safe to update together, then all items.
//! Each worker keeps the residuals of its users and those of its items, and after each half the
//! column that has changed goes around (`gather.rs`). Taking a factor out of the residuals and
//! putting the next one back is one pass; in sums of f32 an error of some 1e-6 stays behind.

use std::ops::Range;
use std::sync::Arc;

use super::gather::Ring;
use super::part::Users;
use super::ratings::Ordered;
use super::{ITEMS, Setup, USERS};
use crate::engine::Worker;
use crate::error::{Error, Result};
use crate::math::factors::Factors;
use crate::math::factors::rank_one::{Columns, Slope, exchange, slope};
use crate::wire::message::Portable;

/// A worker's items and their residuals.
#[derive(Debug)]
pub(super) struct Descending {
    /// This worker's items: a block of the partition.
    pub(super) own: Factors,
    /// The ratings of this worker's items: rows are the items, the other side is users by position.
    pub(super) ratings: Ordered,
    rings: [Ring; 2],
}

/// One of the products that sum up to a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Component {
    /// b_u · 1.
    UserBias,
    /// 1 · c_i.
    ItemBias,
    Factor(usize),
}

impl Component {
    /// The components of a pass, in order.
    fn at(number: u64, biased: bool) -> Component {
        match (number, biased) {
            (0, true) => Component::UserBias,
            (1, true) => Component::ItemBias,
            (number, true) => Component::Factor(number as usize - 2),
            (number, false) => Component::Factor(number as usize),
        }
    }
}

/// How many components there are.
pub(super) fn components(rank: usize, biased: bool) -> u64 {
    rank as u64 + if biased { 2 } else { 0 }
}

/// A column of one side: this worker's rows, and all by position.
#[derive(Debug, Clone, Default)]
struct Column {
    own: Vec<f32>,
    all: Vec<f32>,
}

/// Numbers that go around.
struct Numbers(Vec<f32>);

impl Portable for Numbers {
    fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.0.len() * size_of::<f32>());
        self.0.iter().for_each(|x| out.extend(x.to_le_bytes()));
    }

    fn decode(bytes: &[u8]) -> Result<Numbers> {
        match bytes.as_chunks::<4>() {
            (numbers, []) => Ok(Numbers(numbers.iter().map(|x| f32::from_le_bytes(*x)).collect())),
            _ => Err(malformed()),
        }
    }
}

fn malformed() -> Error {
    Error::Other("a peer sent a column that is none".into())
}

/// One side of the model during a step.
struct Side<'a> {
    factors: &'a mut Factors,
    ratings: &'a mut Ordered,
    ring: &'a mut Ring,
    /// The column whose product the residuals still lack, and this one's before and after.
    before: Column,
    old: Column,
    new: Column,
    updated: fn(Component) -> bool,
    fixed: Component,
}

impl Side<'_> {
    /// The rows' values of a component.
    fn column(&self, component: Component) -> Vec<f32> {
        let rows = 0..self.factors.len();
        match component {
            component if component == self.fixed => vec![1.0; rows.len()],
            Component::Factor(at) => rows.map(|row| self.factors.row(row)[at]).collect(),
            _ => self.factors.heads().iter().map(|head| head.bias).collect(),
        }
    }

    fn keep(&mut self, component: Component) {
        for (row, value) in self.new.own.iter().enumerate() {
            match component {
                component if component == self.fixed => {}
                Component::Factor(at) => self.factors.row_mut(row)[at] = *value,
                _ => self.factors.heads_mut()[row].bias = *value,
            }
        }
    }

    /// Sends this worker's rows of a column around; `rows` are those that others must know.
    fn gather(&mut self, own: Vec<f32>, rows: Range<usize>, worker: &mut Worker) -> Result<Column> {
        let numbers = Arc::new(Numbers(own[rows].to_vec()));
        let all = self.ring.gather(numbers, worker)?;
        let all = all.iter().flat_map(|numbers| &numbers.0).copied().collect();
        Ok(Column { own, all })
    }

    /// The best values of this side given `now` of the other. The first time for a component the
    /// residuals are brought to it.
    fn solve(
        &mut self,
        setup: &Setup,
        component: Component,
        others: &[Columns],
        first: bool,
    ) {
        let lambda = match component {
            Component::Factor(_) => setup.step.regularization,
            _ => setup.step.bias_regularization,
        };
        let floor = match component {
            Component::Factor(_) => setup.step.floor(),
            _ => f32::NEG_INFINITY,
        };
        let updated = (self.updated)(component);
        let (before, old) = (&self.before.own, &self.old.own);
        let new = &mut self.new.own;
        self.ratings.each_row(|row, ratings| {
            let sums: Slope = match first {
                true => exchange(ratings, others, before[row], old[row]),
                false => slope(ratings, others),
            };
            let weight = sums.weight + lambda * ratings.len() as f32;
            if updated && weight > 0.0 {
                new[row] = (sums.target / weight).max(floor);
            }
        });
    }
}

/// What one side needs of the other's columns.
fn columns(before: &[f32], old: &[f32], now: &[f32]) -> Vec<Columns> {
    let all = before.iter().zip(old).zip(now);
    all.map(|((before, old), now)| [*before, *old, *now, 0.0]).collect()
}

impl Descending {
    /// Items of which nothing is known yet.
    pub(super) fn new(own: Factors, ratings: Ordered) -> Descending {
        Descending {
            own,
            ratings,
            rings: [Ring::new(ITEMS), Ring::new(USERS)],
        }
    }

    /// Descends along some components of a pass.
    pub(super) fn push(
        &mut self,
        setup: &Setup,
        users: &mut Users,
        turns: Range<u64>,
        worker: &mut Worker,
    ) -> Result<()> {
        let [of_items, of_users] = &mut self.rings;
        let empty = |rows: usize, all: usize| Column {
            own: vec![0.0; rows],
            all: vec![0.0; all],
        };
        let all_users = setup.by_worker.variables();
        let all_items = setup.by_block.variables();
        let mut left = Side {
            before: empty(users.factors.len(), all_users),
            factors: Arc::make_mut(&mut users.factors),
            ratings: &mut users.train,
            ring: of_users,
            old: Column::default(),
            new: Column::default(),
            updated: |component| component != Component::ItemBias,
            fixed: Component::ItemBias,
        };
        let mut right = Side {
            before: empty(self.own.len(), all_items),
            factors: &mut self.own,
            ratings: &mut self.ratings,
            ring: of_items,
            old: Column::default(),
            new: Column::default(),
            updated: |component| component != Component::UserBias,
            fixed: Component::UserBias,
        };
        for turn in turns {
            let component = Component::at(turn % setup.turns_per_pass, setup.biased);
            descend(setup, component, (&mut left, &mut right), worker)?;
            worker.off_clock(|_| {
                let change = columns(&right.new.all, &right.old.all, &right.new.all);
                let (new, old) = (&left.new.own, &left.old.own);
                users.test.each_row(|row, ratings| {
                    exchange(ratings, &change, new[row], old[row]);
                });
            });
            (left.before, right.before) = (left.new.clone(), right.new.clone());
        }
        // The last component goes out of the residuals, and nothing comes back.
        let (zeros, before) = (vec![0.0; all_items], &right.before.all);
        take_out(left.ratings, &columns(before, &zeros, &zeros), &left.before.own);
        let (zeros, before) = (vec![0.0; all_users], &left.before.all);
        take_out(right.ratings, &columns(before, &zeros, &zeros), &right.before.own);
        Ok(())
    }

    /// The worker's share of the objective.
    pub(super) fn evaluate(&self, setup: &Setup, users: &mut Users) {
        users.begin_sums(setup);
        let train = users.train.squares();
        users.sums.whole += train;
        users.sums.train += train;
        users.sums.pairs += users.train.len(0) as f64;
        users.sums.test += users.test.squares();
        users.penalise(setup, users.worker, &self.own, 0);
    }
}

fn take_out(ratings: &mut Ordered, others: &[Columns], own: &[f32]) {
    ratings.each_row(|row, ratings| {
        exchange(ratings, others, own[row], 0.0);
    });
}

/// One component: the users' values, the items', and so on.
fn descend(
    setup: &Setup,
    component: Component,
    (left, right): (&mut Side, &mut Side),
    worker: &mut Worker,
) -> Result<()> {
    let users = 0..setup.by_worker.block(worker.id()).len();
    let items = 0..setup.by_block.block(worker.id()).len();
    left.old = left.gather(left.column(component), users.clone(), worker)?;
    right.old = right.gather(right.column(component), items.clone(), worker)?;
    (left.new, right.new) = (left.old.clone(), right.old.clone());
    for iteration in 0..setup.iterations {
        let first = iteration == 0;
        let others = columns(&right.before.all, &right.old.all, &right.new.all);
        check(&others, setup.by_block.variables())?;
        left.solve(setup, component, &others, first);
        let own = std::mem::take(&mut left.new.own);
        left.new = left.gather(own, users.clone(), worker)?;
        let others = columns(&left.before.all, &left.old.all, &left.new.all);
        check(&others, setup.by_worker.variables())?;
        right.solve(setup, component, &others, first);
        let own = std::mem::take(&mut right.new.own);
        right.new = right.gather(own, items.clone(), worker)?;
    }
    left.keep(component);
    right.keep(component);
    Ok(())
}

/// What peers sent must be a number for each row.
fn check(columns: &[Columns], rows: usize) -> Result<()> {
    match columns.len() == rows {
        true => Ok(()),
        false => Err(malformed()),
    }
}
