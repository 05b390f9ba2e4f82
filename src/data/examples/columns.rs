//! Which column of dense data is what.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use foldhash::fast::FixedState;

/// A column as the user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnName {
    /// By its number, from 1.
    Number(usize),
    /// By its name in the header.
    Name(String),
}

impl FromStr for ColumnName {
    type Err = Infallible;

    /// Digits are a number, everything else is a name.
    fn from_str(text: &str) -> Result<ColumnName, Infallible> {
        Ok(match text.parse() {
            Ok(number) => ColumnName::Number(number),
            Err(_) => ColumnName::Name(text.to_owned()),
        })
    }
}

/// Where the target is among the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetColumn {
    /// The first that is not dropped.
    First,
    /// The last that is not dropped.
    Last,
    /// This one.
    Column(ColumnName),
    /// Nowhere: all columns are features.
    None,
}

impl FromStr for TargetColumn {
    type Err = Infallible;

    /// `first`, `last`, `none`, a number or a name.
    fn from_str(text: &str) -> Result<TargetColumn, Infallible> {
        Ok(match text {
            "first" => TargetColumn::First,
            "last" => TargetColumn::Last,
            "none" => TargetColumn::None,
            _ => TargetColumn::Column(text.parse()?),
        })
    }
}

impl fmt::Display for ColumnName {
    /// As [`ColumnName::from_str`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnName::Number(number) => write!(f, "{number}"),
            ColumnName::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for TargetColumn {
    /// As [`TargetColumn::from_str`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetColumn::First => f.write_str("first"),
            TargetColumn::Last => f.write_str("last"),
            TargetColumn::None => f.write_str("none"),
            TargetColumn::Column(column) => column.fmt(f),
        }
    }
}

/// What a trained model knows of the columns it was trained on. Data to predict for may lie in
/// another order, and with or without what is no feature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trained {
    /// The features' names, in the model's order; none if they had no names.
    pub names: Vec<String>,
    /// What was said of the target, the weights and columns to leave out.
    pub target: Option<TargetColumn>,
    /// The column of the weights.
    pub weight: Option<ColumnName>,
    /// Columns that were left out.
    pub dropped: Vec<ColumnName>,
}

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Feature,
    Target,
    Weight,
    Dropped,
}

/// What the user says of columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    /// Where the target is; `None` if the user does not say.
    pub(super) target: Option<TargetColumn>,
    /// Where the target is if the user does not say: first, or nowhere.
    pub(super) usual: bool,
    pub(super) weight: Option<ColumnName>,
    pub(super) dropped: Vec<ColumnName>,
    /// Number of features of the trained model that the data is for.
    pub(super) width: Option<usize>,
    /// What that model knows of columns.
    pub(super) trained: Option<Trained>,
}

impl Columns {
    /// What each of `fields` columns is, called `names` if there is a header.
    ///
    /// # Errors
    /// What is wrong with the columns that the user named.
    pub(super) fn roles(
        &self,
        fields: usize,
        names: Option<&[String]>,
    ) -> Result<Vec<Role>, String> {
        match (&self.trained, names) {
            (Some(trained), Some(names)) if !trained.names.is_empty() => {
                self.by_name(names, &trained.names)
            }
            (Some(_), _) if self.width == Some(fields) && !self.says_something() => {
                Ok(vec![Role::Feature; fields])
            }
            (Some(trained), _) => self.or(trained).by_place(fields, names),
            (None, _) => self.by_place(fields, names),
        }
    }

    /// True if the user says which column is what.
    fn says_something(&self) -> bool {
        self.target.is_some() || self.weight.is_some() || !self.dropped.is_empty()
    }

    /// What the user says, and where that is nothing, what was said in training.
    fn or(&self, trained: &Trained) -> Columns {
        let mut columns = self.clone();
        columns.target = columns.target.or_else(|| trained.target.clone());
        columns.weight = columns.weight.or_else(|| trained.weight.clone());
        if columns.dropped.is_empty() {
            columns.dropped.clone_from(&trained.dropped);
        }
        columns
    }

    /// The features that the model knows, wherever they are; what else is there is not needed.
    fn by_name(&self, names: &[String], known: &[String]) -> Result<Vec<Role>, String> {
        let mut missing: HashSet<&str, FixedState> = known.iter().map(String::as_str).collect();
        let role = |name: &String| match missing.remove(name.as_str()) {
            true => Role::Feature,
            false => Role::Dropped,
        };
        let roles = names.iter().map(role).collect();
        match known.iter().find(|name| missing.contains(name.as_str())) {
            Some(name) => Err(format!(
                "expected a column `{name}` in the header, as the model was trained with"
            )),
            None => Ok(roles),
        }
    }

    /// What the user says, by numbers or names.
    fn by_place(&self, fields: usize, names: Option<&[String]>) -> Result<Vec<Role>, String> {
        let mut roles = vec![Role::Feature; fields];
        for column in &self.dropped {
            roles[find(column, "--drop-columns", fields, names)?] = Role::Dropped;
        }
        if let Some(column) = &self.weight {
            take(
                &mut roles,
                find(column, "--weight-column", fields, names)?,
                Role::Weight,
            )?;
        }
        let left = roles.iter().filter(|role| **role == Role::Feature).count();
        // Data to predict for may come without its target.
        let usual = match self.usual && self.width != Some(left) {
            true => TargetColumn::First,
            false => TargetColumn::None,
        };
        let is_left = |role: &Role| *role == Role::Feature;
        let target = match self.target.as_ref().unwrap_or(&usual) {
            TargetColumn::None => None,
            TargetColumn::First => roles.iter().position(is_left),
            TargetColumn::Last => roles.iter().rposition(is_left),
            TargetColumn::Column(column) => Some(find(column, "--target-column", fields, names)?),
        };
        if let Some(target) = target {
            take(&mut roles, target, Role::Target)?;
        }
        match (roles.contains(&Role::Feature), self.width) {
            (false, _) => Err(format!(
                "expected features beside the target, saw {fields} fields in all"
            )),
            (true, Some(width)) => require_width(&roles, width).map(|()| roles),
            (true, None) => Ok(roles),
        }
    }
}

fn require_width(roles: &[Role], width: usize) -> Result<(), String> {
    let seen = roles.iter().filter(|role| **role == Role::Feature).count();
    match seen == width {
        true => Ok(()),
        false => Err(format!(
            "expected {width} features as the model was trained with, saw {seen}"
        )),
    }
}

/// The place of a column, from 0.
fn find(
    column: &ColumnName,
    flag: &str,
    fields: usize,
    names: Option<&[String]>,
) -> Result<usize, String> {
    match (column, names) {
        (ColumnName::Number(number), _) if (1..=fields).contains(number) => Ok(number - 1),
        (ColumnName::Number(number), _) => Err(format!(
            "expected a column {number} (said by {flag}), saw {fields} columns"
        )),
        (ColumnName::Name(name), Some(names)) => {
            let found = names.iter().position(|other| other == name);
            found
                .ok_or_else(|| format!("expected a column `{name}` (said by {flag}) in the header"))
        }
        (ColumnName::Name(name), None) => Err(format!(
            "expected a header with a column `{name}` (said by {flag}), saw no header; name the \
             column by its number"
        )),
    }
}

fn take(roles: &mut [Role], at: usize, role: Role) -> Result<(), String> {
    if roles[at] != Role::Feature {
        let number = at + 1;
        return Err(format!(
            "expected column {number} to be one thing only, it was said to be two"
        ));
    }
    roles[at] = role;
    Ok(())
}
