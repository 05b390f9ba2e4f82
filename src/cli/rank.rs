//! Which rank this process is, as the scheduler that started it says.

use crate::error::{Error, Result};

/// A process's place among the ranks, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its rank.
    pub(super) rank: Option<u32>,
    /// How many were started.
    pub(super) ranks: Option<u32>,
}

/// The variables of each scheduler: the rank, and how many there are.
const SCHEDULERS: [(&str, Option<&str>); 3] = [
    ("SLURM_PROCID", Some("SLURM_NTASKS")),
    ("OMPI_COMM_WORLD_RANK", Some("OMPI_COMM_WORLD_SIZE")),
    ("JOB_COMPLETION_INDEX", None),
];

/// The first scheduler's word counts. One task alone is a shell in an allocation or a plain
/// `mpirun`, not one of several ranks, and says nothing.
pub(super) fn of_environment(environment: &dyn Fn(&str) -> Option<String>) -> Result<Place> {
    for (rank, ranks) in SCHEDULERS {
        let ranks = match ranks {
            Some(name) => number(name, environment)?,
            None => None,
        };
        if let Some(rank) = number(rank, environment)?
            && ranks != Some(1)
        {
            return Ok(Place {
                rank: Some(rank),
                ranks,
            });
        }
    }
    Ok(Place {
        rank: None,
        ranks: None,
    })
}

fn number(name: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<u32>> {
    let Some(text) = environment(name) else {
        return Ok(None);
    };
    text.trim().parse().map(Some).map_err(|_| {
        Error::Usage(format!(
            "{name}: expected a number in this environment variable, found `{text}`; set --rank R \
             or unset it"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variables: &[(&str, &str)]) -> Result<Place> {
        of_environment(&|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn rank(variables: &[(&str, &str)]) -> Option<u32> {
        place(variables).unwrap().rank
    }

    #[test]
    fn each_scheduler_is_understood() {
        assert_eq!(rank(&[]), None);
        assert_eq!(
            rank(&[("SLURM_PROCID", "2"), ("SLURM_NTASKS", "4")]),
            Some(2)
        );
        assert_eq!(
            rank(&[("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "2")]),
            Some(0)
        );
        assert_eq!(rank(&[("JOB_COMPLETION_INDEX", "7")]), Some(7));
        let slurm = place(&[("SLURM_PROCID", "2"), ("SLURM_NTASKS", "4")]).unwrap();
        assert_eq!(slurm.ranks, Some(4));
    }

    #[test]
    fn one_task_alone_says_nothing_and_slurm_comes_first() {
        assert_eq!(rank(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1")]), None);
        let both = [
            ("OMPI_COMM_WORLD_RANK", "1"),
            ("OMPI_COMM_WORLD_SIZE", "2"),
            ("SLURM_PROCID", "0"),
            ("SLURM_NTASKS", "1"),
        ];
        assert_eq!(rank(&both), Some(1), "mpirun inside a Slurm shell");
        assert_eq!(
            rank(&[("SLURM_PROCID", "3"), ("OMPI_COMM_WORLD_RANK", "1")]),
            Some(3)
        );
    }

    #[test]
    fn nonsense_is_an_error_that_names_the_variable() {
        let error = place(&[("SLURM_PROCID", "x")]).unwrap_err();
        assert_eq!(error.status(), 2);
        assert!(error.to_string().starts_with("SLURM_PROCID: "), "{error}");
    }
}
