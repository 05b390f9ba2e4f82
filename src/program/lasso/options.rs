//! The flags of `petuum lasso`.

use clap::{Args, ValueEnum};

use crate::error::{Error, Result};
use crate::program::examples::ExamplesFlags;
use crate::program::flag::{above, real, whole};
use crate::scheduler::dependency;

/// Most λ of a path, most parts of a cross-validation.
const PATH_MAX: u32 = 10_000;
const FOLDS_MAX: u32 = 1000;
/// λ / λ_max of a single λ.
const RATIO: f64 = 0.1;

/// The flags.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The data.
    #[command(flatten)]
    pub examples: ExamplesFlags,

    /// λ: weight of the penalty
    #[arg(long, value_name = "L", conflicts_with_all = ["lambda_ratio", "path"],
          value_parser = above(0.0))]
    pub lambda: Option<f64>,

    /// λ as a part of λ_max, the smallest λ at which all coefficients are 0; of a path, its last
    /// [default: 0.1; of a path 0.01, or 0.0001 with more samples than features]
    #[arg(long, value_name = "R", value_parser = above(0.0))]
    pub lambda_ratio: Option<f64>,

    /// α: part of the penalty that is ‖b‖₁; the rest is ½‖b‖²
    #[arg(long, value_name = "A", default_value_t = 1.0, value_parser = unit())]
    pub l1_ratio: f64,

    /// What is lost where a prediction is wrong
    #[arg(long, value_enum, default_value_t = Loss::Squared)]
    pub loss: Loss,

    /// Solve for N values of λ, evenly spaced on a logarithmic scale, from λ_max down
    #[arg(long, value_name = "N", value_parser = whole(2..=PATH_MAX))]
    pub path: Option<u32>,

    /// Choose λ by cross-validation over so many parts of the samples; without --path 100 values
    /// are tried
    #[arg(long, value_name = "K", conflicts_with = "lambda", value_parser = whole(2..=FOLDS_MAX))]
    pub folds: Option<u32>,

    /// Which λ cross-validation chooses for the model
    #[arg(long, value_enum, requires = "folds", default_value_t = Choice::Least)]
    pub choose: Choice,

    /// Scale features to standard deviation 1 for the penalty; coefficients are told for the
    /// features as they are
    #[arg(long)]
    pub standardize: bool,

    /// Predict from the features alone
    #[arg(long)]
    pub no_intercept: bool,

    /// Which coefficients are worked on first
    #[arg(long, value_enum, default_value_t = Schedule::Priority)]
    pub schedule: Schedule,

    /// Features that are correlated by more than this do not join the working set together, as long as
    /// 32 are left that may [default: 0.2, or 6/√n with fewer than 900 samples]
    #[arg(long, value_name = "C", value_parser = above(0.0))]
    pub correlation_threshold: Option<f64>,
}

/// A parser of numbers above 0 and up to 1.
fn unit() -> impl Fn(&str) -> std::result::Result<f64, String> + Clone + Send + Sync + 'static {
    let (positive, bounded) = (above(0.0), real(..=1.0));
    move |text| positive(text).and_then(|_| bounded(text))
}

/// The values of `--loss`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Loss {
    /// Half the squared error
    Squared,
    /// Negative log-likelihood of two classes
    Logistic,
}

/// The values of `--choose`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// That of the least deviance of the samples left out
    #[value(name = "min")]
    Least,
    /// The largest λ whose deviance is within one standard error of the least
    #[value(name = "1se")]
    OneError,
}

/// The values of `--schedule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Schedule {
    /// Those that promise most
    Priority,
    /// In turn
    Cyclic,
    /// Any
    Random,
}

impl Options {
    /// Checks what single flags cannot.
    pub(super) fn check(&self) -> Result<()> {
        if let (Some(ratio), true) = (self.lambda_ratio, self.is_path())
            && ratio >= 1.0
        {
            return Err(Error::Usage(format!(
                "--lambda-ratio: a path goes down from λ_max, {ratio} is too large, less than 1"
            )));
        }
        match self.correlation_threshold {
            Some(threshold) if threshold >= 1.0 && self.schedule == Schedule::Priority => {
                Err(Error::Usage(format!(
                    "--correlation-threshold: {threshold} filters nothing, and priority without the \
                     filter is refused: what promises most often says the same, and would join all \
                     at once; say less than 1, or --schedule cyclic or random"
                )))
            }
            _ => Ok(()),
        }
    }

    /// The correlation from which two features are not worked on together, for so many samples. The
    /// working set is solved as a whole, so it can bear twice what separate updates can.
    pub(super) fn threshold(&self, samples: usize) -> f64 {
        let usual = 2.0 * dependency::threshold(samples);
        self.correlation_threshold.unwrap_or(usual)
    }

    /// True if there are several λ.
    pub(super) fn is_path(&self) -> bool {
        self.path.is_some() || self.folds.is_some()
    }

    /// All λ, from the largest down, for data with this λ_max.
    pub(super) fn grid(&self, largest: f64, samples: usize, features: usize) -> Vec<f64> {
        if let Some(lambda) = self.lambda {
            return vec![lambda];
        }
        if !self.is_path() {
            return vec![self.lambda_ratio.unwrap_or(RATIO) * largest];
        }
        // As glmnet does.
        let usual = if samples > features { 1e-4 } else { 1e-2 };
        let last = self.lambda_ratio.unwrap_or(usual);
        let steps = self.path.unwrap_or(100) - 1;
        (0..=steps)
            .map(|step| largest * last.powf(f64::from(step) / f64::from(steps)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::trial::options;

    #[test]
    fn priority_without_the_filter_is_refused_with_the_reason() {
        let refused = options::<Options>("--correlation-threshold 1").check().unwrap_err();
        assert_eq!(refused.status(), 2);
        let said = refused.to_string();
        assert!(said.contains("priority without the filter is refused"), "{said}");
        for line in ["--correlation-threshold 0.99", "--correlation-threshold 1 --schedule cyclic"] {
            assert!(options::<Options>(line).check().is_ok(), "{line}");
        }
    }
}
