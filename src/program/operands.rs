//! `--precision`, of recipes that multiply matrices.

use clap::ValueEnum;

use crate::engine::Host;
use crate::math::gemm::{Kernel, Precision};

/// The operands of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Operands {
    /// 32-bit floats
    F32,
    /// 16-bit floats with the range of 32-bit ones (bfloat16)
    Bf16,
}

impl Operands {
    /// A kernel for them.
    pub(super) fn kernel(self) -> Kernel {
        Kernel::new().with(match self {
            Operands::F32 => Precision::F32,
            Operands::Bf16 => Precision::Bf16,
        })
    }

    /// Says so if the processor has no instructions for them. Refusing would make a model of one
    /// machine's settings useless on another, and 32-bit products of what was not rounded would make ranks
    /// of unlike processors compute unlike things: so operands are rounded, and nothing is gained.
    pub(super) fn explain(self, host: &Host) {
        if self == Operands::Bf16 && !Kernel::new().processor().has_bf16() {
            host.note(
                "--precision: this processor has no instructions for bf16; operands are rounded to it, \
                 products take as long as those of f32",
            );
        }
    }
}
