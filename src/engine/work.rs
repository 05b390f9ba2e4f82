//! What a worker thread does, clock after clock.

use crate::error::Result;
use crate::wire::message::{Clock, ClockStats, Payload, Portable};

use super::coordinator::Report;
use super::link::Link;
use super::plan::Plan;
use super::program::Program;
use super::rank::Session;
use super::worker::Worker;

/// Runs one worker from its first clock to its last.
pub(super) fn work<P: Program>(
    session: &Session<P>,
    part: &mut P::Part,
    worker: &mut Worker,
) -> Result<()> {
    let Session {
        program,
        link,
        plan,
        checkpoints,
        ..
    } = session;
    let mut committed = plan.from;
    loop {
        let clock = worker.at();
        commit_until(*program, part, worker, plan, &mut committed)?;
        // Here and not after the clock: by now this worker has taken over what the clock led to,
        // and knows whether it was the last one.
        let last = link
            .board
            .last()
            .min(plan.clocks.map_or(Clock::MAX, |clocks| clocks - 1));
        let ending = clock > last;
        if let Some(checkpoints) = checkpoints
            && clock > plan.from
            && (plan.checkpoints(clock - 1) || ending)
        {
            // Only now, not at the end of the clock: what `pull` made of it belongs to the state.
            worker.off_clock(|worker| {
                program.before_checkpoint(part, worker)?;
                checkpoints.add(link, worker.id(), clock - 1, program.checkpoint(part))
            })?;
        }
        if ending {
            break;
        }
        worker.begin_clock(plan.evaluates(clock) || clock == last)?;
        for task in program.schedule(clock, worker.id(), &link.world) {
            program.push(part, task, worker)?;
        }
        let wanted = worker.evaluating() || program.pulls(clock);
        let stats = worker.end_clock();
        let partial = match wanted {
            true => Some(worker.off_clock(|worker| program.partial(part, worker))?),
            false => None,
        };
        report(link, worker, clock, stats, partial, false);
    }
    end(*program, part, worker, link, plan)
}

/// Takes over what `pull` found in the clocks that this worker must know of by now.
fn commit_until<P: Program>(
    program: &P,
    part: &mut P::Part,
    worker: &mut Worker,
    plan: &Plan,
    committed: &mut Clock,
) -> Result<()> {
    loop {
        let update = match plan.lag {
            Some(lag) if *committed < worker.at() - lag => worker.take_verdict(*committed)?,
            Some(_) => return Ok(()),
            None => match worker.try_take_verdict(*committed) {
                Some(update) => update,
                None => return Ok(()),
            },
        };
        if let Some(update) = update {
            program.commit(part, &P::Update::decode(&update)?);
        }
        *committed += 1;
    }
}

/// The last report; it carries a share of the objective where workers end after different clocks.
fn end<P: Program>(
    program: &P,
    part: &mut P::Part,
    worker: &mut Worker,
    link: &Link,
    plan: &Plan,
) -> Result<()> {
    let clock = worker.at() - 1;
    let partial = match plan.lag {
        None if clock >= plan.from => Some(program.partial(part, worker)?),
        _ => None,
    };
    program.finish(part, worker)?;
    let stats = worker.stats();
    report(link, worker, clock, stats, partial, true);
    Ok(())
}

fn report<T: Portable>(
    link: &Link,
    worker: &Worker,
    clock: Clock,
    stats: ClockStats,
    partial: Option<T>,
    ended: bool,
) {
    let partial = partial.map(Payload::value);
    link.report(Report {
        worker: worker.id(),
        clock,
        stats: Box::new(stats),
        bytes: link.bytes(),
        partial,
        ended,
    });
}
