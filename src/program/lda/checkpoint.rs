//! What a run goes on from: topics and documents from the checkpoint, blocks by counting.
//!
//! A checkpoint holds each token's topic, each document's entries in their order, and the priors. The counts
//! n_wk and n_k are functions of the topics: all ranks count them again together, one block at a
//! time. A block then waits with the worker that uses it first. Shared tables begin at 0 again, so
//! workers keep what was in them and add it to what they read. Integers add up to the same in any
//! order: under `bsp` the run goes on bit for bit.

use super::block::{Block, Rows, Writer};
use super::documents::Documents;
use super::part::Part;
use super::tokens::{Tokens, Topics};
use super::{Lda, Parallel};
use crate::engine::Host;
use crate::error::Result;
use crate::snapshot::{Tensor, take};
use crate::wire::message::Portable;

/// A worker's state.
pub(super) fn write(part: &Part) -> Vec<Tensor> {
    let alpha = part.sampler.alpha();
    let mut tensors = vec![
        Tensor::new("alpha", &[alpha.len()], alpha),
        Tensor::new("beta", &[1], &[part.sampler.beta()]),
    ];
    tensors.extend(write_tokens("", &part.documents, &part.tokens));
    if let Some(held_out) = &part.held_out {
        tensors.extend(write_tokens(
            "held_out_",
            &held_out.documents,
            &held_out.known,
        ));
    }
    tensors
}

fn write_tokens(prefix: &str, documents: &Documents, tokens: &Tokens) -> [Tensor; 2] {
    let entries = documents.entries_in_order();
    let name = format!("{prefix}topics");
    let topics = match &tokens.topics {
        Topics::Narrow(topics) => Tensor::new(name, &[topics.len()], topics),
        Topics::Wide(topics) => Tensor::new(name, &[topics.len()], topics),
    };
    [
        topics,
        Tensor::new(format!("{prefix}documents"), &[entries.len()], &entries),
    ]
}

/// Puts a freshly loaded part back to what [`write`] saw.
pub(super) fn read(part: &mut Part, mut tensors: Vec<Tensor>) -> Result<()> {
    let alpha = take(&mut tensors, "alpha")?.values::<f64>()?;
    let beta = take(&mut tensors, "beta")?.values::<f64>()?;
    part.set_priors(&alpha, beta.first().copied().unwrap_or(0.0))?;
    let topics = alpha.len() as u32;
    read_tokens(
        "",
        &mut tensors,
        &mut part.documents,
        &mut part.tokens,
        topics,
    )?;
    if let Some(held_out) = &mut part.held_out {
        let (documents, tokens) = (&mut held_out.documents, &mut held_out.known);
        read_tokens("held_out_", &mut tensors, documents, tokens, topics)?;
    }
    Ok(())
}

fn read_tokens(
    prefix: &str,
    tensors: &mut Vec<Tensor>,
    documents: &mut Documents,
    tokens: &mut Tokens,
    topics: u32,
) -> Result<()> {
    let of_tokens = take(tensors, &format!("{prefix}topics"))?;
    let of_tokens = match &tokens.topics {
        Topics::Narrow(_) => of_tokens.values::<u16>()?.into_iter().map(widen).collect(),
        Topics::Wide(_) => of_tokens.values::<u32>()?,
    };
    tokens.set_topics(&of_tokens, topics)?;
    documents.set_entries(&take(tensors, &format!("{prefix}documents"))?.values::<u32>()?)
}

fn widen(topic: u16) -> u32 {
    if topic == u16::MAX {
        u32::MAX
    } else {
        u32::from(topic)
    }
}

/// Counts everything again after `clocks` clocks. Every rank calls this, with all its workers.
pub(super) fn rebuild(lda: &Lda, parts: &mut [Part], clocks: u64, host: &Host) -> Result<()> {
    let (partition, topics) = (&lda.setup.partition, lda.setup.topics);
    let first = host.world().local(host.rank()).start;
    let mut totals = vec![0i64; topics as usize];
    for number in 0..partition.blocks() {
        let positions = partition.block(number);
        let own: Vec<Block> = parts
            .iter()
            .map(|part| part.own_counts(positions.clone()))
            .collect();
        let block = add_up_ranks(&own, topics, host)?;
        for (topic, count) in block.rows().flatten() {
            totals[topic as usize] += i64::from(count);
        }
        if lda.options.parallel == Parallel::Data {
            parts.iter_mut().for_each(|part| keep_words(part, &block));
            continue;
        }
        for (worker, part) in (first..).zip(parts.iter_mut()) {
            let turns = lda.blocks_after(worker, clocks);
            if let Some(turn) = turns.iter().find(|turn| turn.block == number) {
                part.note_block(number, turn.turn, &block);
                part.blocks.push((number, block.clone()));
            }
        }
    }
    parts
        .iter_mut()
        .for_each(|part| part.restored_totals.clone_from(&totals));
    Ok(())
}

fn add_up_ranks(own: &[Block], topics: u32, host: &Host) -> Result<Block> {
    let mut bytes = Vec::new();
    sum(&own.iter().map(Block::rows).collect::<Vec<_>>(), topics).encode(&mut bytes);
    let all = host.all_gather(bytes)?;
    let shares = all
        .iter()
        .map(|bytes| Block::decode(bytes))
        .collect::<Result<Vec<_>>>()?;
    Ok(sum(
        &shares.iter().map(Block::rows).collect::<Vec<_>>(),
        topics,
    ))
}

fn keep_words(part: &mut Part, all: &Block) {
    let mut wanted = part.positions.iter().peekable();
    for (position, row) in (0u32..).zip(all.rows()) {
        if wanted.next_if_eq(&&position).is_some() {
            part.restored_words
                .push(row.map(|(topic, count)| (topic, count as i32)).collect());
        }
    }
}

/// The sums of some shares of the same words' counts.
pub(super) fn sum(shares: &[Rows<'_>], topics: u32) -> Block {
    let mut shares = shares.to_vec();
    let mut writer = Writer::default();
    let mut row: Vec<(u32, u32)> = Vec::new();
    loop {
        let rows: Vec<_> = shares.iter_mut().filter_map(Iterator::next).collect();
        if rows.is_empty() {
            return writer.finish(topics);
        }
        row.clear();
        row.extend(rows.into_iter().flatten());
        row.sort_unstable();
        row.dedup_by(|from, into| {
            let same = from.0 == into.0;
            into.1 += if same { from.1 } else { 0 };
            same
        });
        writer.row(row.iter().copied());
    }
}
