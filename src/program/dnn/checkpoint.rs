//! What a run goes on from: what every worker's optimiser remembers, and the weights as worker 0
//! sees them.

use bytes::Bytes;

use super::part::Part;
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::snapshot::{Tensor, take};

/// A worker's state.
pub(super) fn write(part: &Part) -> Vec<Tensor> {
    let mut tensors = vec![Tensor::new("steps", &[1], &[part.steps])];
    for (number, layer) in part.network.layers.iter().enumerate() {
        for (which, state) in layer.states.iter().enumerate() {
            tensors.push(Tensor::new(format!("{number}.state{which}"), &[state.len()], state));
        }
        if part.worker == 0 {
            let weights = &layer.weights;
            tensors.push(Tensor::new(format!("{number}.weights"), &[weights.len()], weights));
        }
    }
    tensors
}

/// Puts a freshly loaded part back to what [`write`] saw.
pub(super) fn read(part: &mut Part, mut tensors: Vec<Tensor>) -> Result<()> {
    let steps = take(&mut tensors, "steps")?.values::<u64>()?;
    part.steps = *steps.first().ok_or_else(other)?;
    let first = part.worker == 0;
    for (number, layer) in part.network.layers.iter_mut().enumerate() {
        for (which, state) in layer.states.iter_mut().enumerate() {
            fill(state, take(&mut tensors, &format!("{number}.state{which}"))?)?;
        }
        if first {
            fill(&mut layer.weights, take(&mut tensors, &format!("{number}.weights"))?)?;
        }
    }
    Ok(())
}

/// Brings worker 0's weights to the first part of every rank.
pub(super) fn share(parts: &mut [Part], host: &Host) -> Result<()> {
    let mut bytes = Vec::new();
    if host.rank() == 0
        && let Some(part) = parts.first()
    {
        let weights = part.network.layers.iter().flat_map(|layer| &layer.weights);
        weights.for_each(|weight| bytes.extend(weight.to_le_bytes()));
    }
    let all = host.all_gather(bytes)?;
    let (Some(of_first), Some(part)) = (all.first(), parts.first_mut()) else {
        return Ok(());
    };
    take_over(part, of_first)
}

fn take_over(part: &mut Part, bytes: &Bytes) -> Result<()> {
    let mut floats = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
    for layer in &mut part.network.layers {
        for weight in &mut layer.weights {
            *weight = floats.next().ok_or_else(other)?;
        }
    }
    Ok(())
}

fn fill(to: &mut [f32], tensor: Tensor) -> Result<()> {
    let values = tensor.values::<f32>()?;
    if values.len() != to.len() {
        return Err(other());
    }
    to.copy_from_slice(&values);
    Ok(())
}

fn other() -> Error {
    Error::Other("the checkpoint is of another model".into())
}
