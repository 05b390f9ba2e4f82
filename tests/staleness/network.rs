//! A network that delays, reorders, drops and repeats messages, all from one seed.

use petuum::wire::message::{Message, Payload, Rank};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Random numbers for the simulator.
pub(super) struct Dice(SplitMix64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(SplitMix64::seed_from_u64(seed))
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    /// True in `per_mille` of 1,000 throws.
    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
}

/// How bad the network is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    pub(super) drop_per_mille: u64,
    pub(super) repeat_per_mille: u64,
    /// Longest delay, in steps.
    pub(super) delay: u64,
    /// Messages between two ranks keep their order.
    pub(super) ordered: bool,
    /// The ranks repeat what is overdue.
    pub(super) ticks: bool,
    /// Links lose everything on them, and are down for a while.
    pub(super) crashes: bool,
}

impl Weather {
    /// From a TCP-like network without ticks to one that loses a third of everything.
    pub(super) fn from(dice: &mut Dice) -> Weather {
        let kind = dice.below(4);
        let lossy = kind >= 2;
        Weather {
            drop_per_mille: if lossy {
                [20, 100, 330][dice.below(3) as usize]
            } else {
                0
            },
            repeat_per_mille: if lossy { dice.below(300) } else { 0 },
            delay: [1, 20, 200][dice.below(3) as usize],
            ordered: kind == 0,
            ticks: lossy,
            crashes: false,
        }
    }

    /// The same, perhaps with crashes.
    pub(super) fn stormy(self, dice: &mut Dice) -> Weather {
        let crashes = dice.chance(500);
        Weather {
            crashes,
            ticks: self.ticks || crashes,
            ..self
        }
    }
}

/// What a dishonest network does to messages, to show that the checks notice.
pub(super) type Forgery = fn(&mut Message);

struct Flight {
    due: u64,
    from: Rank,
    to: Rank,
    message: Message,
}

/// Messages on their way.
pub(super) struct Network {
    pub(super) weather: Weather,
    pub(super) forgery: Option<Forgery>,
    pub(super) dropped: u64,
    pub(super) repeated: u64,
    flying: Vec<Flight>,
    last_due: Vec<Vec<u64>>,
    /// By sender and receiver: the step until which the link is down.
    down: Vec<Vec<u64>>,
}

impl Network {
    pub(super) fn new(ranks: u32, weather: Weather, forgery: Option<Forgery>) -> Network {
        Network {
            weather,
            forgery,
            dropped: 0,
            repeated: 0,
            flying: Vec::new(),
            last_due: vec![vec![0; ranks as usize]; ranks as usize],
            down: vec![vec![0; ranks as usize]; ranks as usize],
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flying.is_empty()
    }

    /// Takes over what `from` sends at step `now`.
    pub(super) fn send(
        &mut self,
        from: Rank,
        out: Vec<(Rank, Message)>,
        now: u64,
        dice: &mut Dice,
    ) {
        for (to, mut message) in out {
            assert_ne!(from, to, "a rank wrote to itself");
            if let Some(forge) = self.forgery {
                forge(&mut message);
            }
            if dice.chance(self.weather.repeat_per_mille) {
                self.repeated += 1;
                self.launch(from, to, copy(&message), now, dice);
            }
            let down = self.down[from as usize][to as usize] > now;
            if down || dice.chance(self.weather.drop_per_mille) {
                self.dropped += 1;
            } else {
                self.launch(from, to, message, now, dice);
            }
        }
    }

    /// From now on everything arrives once.
    pub(super) fn calm(&mut self) {
        self.weather.drop_per_mille = 0;
        self.weather.repeat_per_mille = 0;
        self.down.iter_mut().for_each(|down| down.fill(0));
    }

    /// A link breaks, with all that is on it in both directions, and is down for a while.
    pub(super) fn crash(&mut self, now: u64, dice: &mut Dice) {
        let ranks = self.down.len() as u64;
        let (a, b) = (dice.below(ranks) as Rank, dice.below(ranks) as Rank);
        let until = now + dice.below(300);
        for (from, to) in [(a, b), (b, a)] {
            self.down[from as usize][to as usize] = until;
        }
        let before = self.flying.len();
        let ends = |flight: &Flight| (flight.from.min(flight.to), flight.from.max(flight.to));
        self.flying.retain(|f| ends(f) != (a.min(b), a.max(b)));
        self.dropped += (before - self.flying.len()) as u64;
    }

    fn launch(&mut self, from: Rank, to: Rank, message: Message, now: u64, dice: &mut Dice) {
        let mut due = now + dice.below(self.weather.delay) + 1;
        if self.weather.ordered {
            let last = &mut self.last_due[from as usize][to as usize];
            due = due.max(*last + 1);
            *last = due;
        }
        self.flying.push(Flight {
            due,
            from,
            to,
            message,
        });
    }

    /// The message that arrives at step `now`, if one does: from, to, message.
    pub(super) fn arrival(&mut self, now: u64) -> Option<(Rank, Rank, Message)> {
        let flights = self
            .flying
            .iter()
            .enumerate()
            .filter(|(_, flight)| flight.due <= now);
        let (position, _) = flights.min_by_key(|(_, flight)| flight.due)?;
        let flight = self.flying.swap_remove(position);
        Some((flight.from, flight.to, flight.message))
    }
}

/// The same message once more.
fn copy(message: &Message) -> Message {
    match message {
        Message::Updates {
            number,
            completes,
            answer,
            batches,
        } => Message::Updates {
            number: *number,
            completes: *completes,
            answer: *answer,
            batches: batches.clone(),
        },
        Message::Pull { table, rows, stamp } => Message::Pull {
            table: *table,
            rows: rows.clone(),
            stamp: *stamp,
        },
        Message::Rows {
            number,
            covers,
            stamp,
            complete,
            included,
            batches,
        } => Message::Rows {
            number: *number,
            covers: *covers,
            stamp: *stamp,
            complete: *complete,
            included: *included,
            batches: batches.clone(),
        },
        Message::Refresh { number } => Message::Refresh { number: *number },
        Message::Block {
            table,
            block,
            turn,
            worker,
            payload,
        } => Message::Block {
            table: *table,
            block: *block,
            turn: *turn,
            worker: *worker,
            payload: match payload {
                Payload::Bytes(bytes) => Payload::Bytes(bytes.clone()),
                Payload::Value(_) => panic!("a value left its process"),
            },
        },
        Message::BlockArrived { table, block, turn } => Message::BlockArrived {
            table: *table,
            block: *block,
            turn: *turn,
        },
        other => panic!("the parameter server does not send {other:?}"),
    }
}
