//! Records on their way out: one line each, flushed, and kept for `records.csv`.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::record::{self, Record};
use crate::error::{Error, Result};

/// The form of the records on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordForm {
    /// Comma-separated values under a header.
    #[default]
    Csv,
    /// One JSON object a line, with the header's names as keys, and one more.
    Jsonl,
}

/// Writes records as they come and keeps them all.
///
/// If whoever reads them goes away (a closed pipe), recording goes on in memory and
/// [`Recorder::record`] says so: the run can then end quietly after saving.
pub struct Recorder {
    form: RecordForm,
    /// None: whatever comes is kept and nothing is written.
    columns: Option<Vec<String>>,
    out: Box<dyn Write + Send>,
    listened: bool,
    began: bool,
    records: Vec<Record>,
}

impl Recorder {
    /// Records in `form`, with the program's `columns` between the fixed ones, to `out`. Nothing
    /// is written yet.
    pub fn new(form: RecordForm, columns: &[&str], out: Box<dyn Write + Send>) -> Recorder {
        Recorder {
            form,
            columns: Some(columns.iter().map(|name| (*name).to_owned()).collect()),
            out,
            listened: true,
            began: false,
            records: Vec::new(),
        }
    }

    /// A recorder that only keeps records, whatever their columns.
    pub fn none() -> Recorder {
        Recorder {
            columns: None,
            ..Recorder::new(RecordForm::Csv, &[], Box::new(io::sink()))
        }
    }

    /// Writes the header, if the form has one and it is not there yet. `Ok(false)`: the reader
    /// went away.
    pub fn begin(&mut self) -> Result<bool> {
        if !self.began {
            self.began = true;
            if self.form == RecordForm::Csv {
                let header = csv_line(record::header(self.columns()));
                self.emit(&header)?;
            }
        }
        Ok(self.listened)
    }

    /// Writes one record and flushes it. `Ok(false)`: the reader went away.
    ///
    /// Fails with status 74 if writing fails for any other reason. A record whose columns are not
    /// as many as the recorder's is a bug of the program.
    pub fn record(&mut self, record: &Record) -> Result<bool> {
        let (values, columns) = (record.columns.len(), self.columns().len());
        if self.columns.is_some() && values != columns {
            return Err(Error::Bug(format!("{values} values for {columns} columns")));
        }
        self.begin()?;
        self.records.push(record.clone());
        let line = match self.form {
            RecordForm::Csv => csv_line(record::cells(record)),
            RecordForm::Jsonl => self.json_line(record),
        };
        self.emit(&line)?;
        Ok(self.listened)
    }

    /// All records so far, also those that nobody read.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Puts records of an earlier part of the run (before a resume) in front, for `records.csv`
    /// only.
    pub fn continue_from(&mut self, earlier: Vec<Record>) {
        self.records.splice(0..0, earlier);
    }

    /// All records as CSV with its header, whatever the form of stdout: `records.csv`.
    pub fn to_csv(&self) -> Vec<u8> {
        let mut text = csv_line(record::header(self.columns()));
        for record in &self.records {
            text.extend(csv_line(record::cells(record)));
        }
        text
    }

    /// The newest record as a JSON object, or null: for `model.json`.
    pub fn last_as_json(&self) -> Value {
        self.records
            .last()
            .map_or(Value::Null, |last| self.json(last))
    }

    /// Written pair by pair so that the keys keep the header's order.
    fn json_line(&self, record: &Record) -> Vec<u8> {
        let pairs: Vec<String> = self
            .pairs(record)
            .map(|(name, value)| format!("{}:{value}", json!(name)))
            .collect();
        format!("{{{}}}\n", pairs.join(",")).into_bytes()
    }

    fn json(&self, record: &Record) -> Value {
        let pairs = self.pairs(record);
        pairs
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Names and values as JSON has them: those of CSV, then the list that CSV has no room for.
    fn pairs(&self, record: &Record) -> impl Iterator<Item = (&str, Value)> {
        let names = record::header(self.columns()).into_iter();
        let counts = (record::COUNTS, json!(record.staleness_counts));
        names.zip(record::values(record)).chain([counts])
    }

    fn columns(&self) -> &[String] {
        self.columns.as_deref().unwrap_or_default()
    }

    fn emit(&mut self, line: &[u8]) -> Result<()> {
        if !self.listened {
            return Ok(());
        }
        match self.out.write_all(line).and_then(|()| self.out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.listened = false;
                Ok(())
            }
            Err(error) => Err(Error::cannot_write(Path::new("standard output"), error)),
        }
    }
}

/// One line of CSV, quoted where it must be.
fn csv_line<F: AsRef<[u8]>>(fields: impl IntoIterator<Item = F>) -> Vec<u8> {
    let mut line = csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new());
    // A Vec accepts every byte.
    line.write_record(fields).expect("writing to memory");
    line.into_inner().expect("writing to memory")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sample() -> Record {
        Record {
            clock: 3,
            seconds: 0.1 + 0.2,
            objective: -1.5e300,
            columns: vec![Some(-8.25), None],
            wait_seconds: 0.0,
            bytes_sent: 7,
            bytes_received: 9,
            staleness_mean: 1e-9,
            staleness_max: 2,
            staleness_counts: vec![5, 0, 1],
        }
    }

    const COLUMNS: [&str; 2] = ["loglik_per_token", "heldout_perplexity"];

    #[test]
    fn csv_has_the_columns_of_the_contract_and_empty_cells() {
        let out = Shared::default();
        let mut recorder = Recorder::new(RecordForm::Csv, &COLUMNS, Box::new(out.clone()));
        assert!(recorder.record(&sample()).unwrap());
        assert_eq!(
            out.text(),
            "clock,seconds,objective,loglik_per_token,heldout_perplexity,wait_seconds,bytes_sent,\
             bytes_received,staleness_mean,staleness_max\n\
             3,0.30000000000000004,-1.5e+300,-8.25,,0.0,7,9,1e-9,2\n"
        );
        assert_eq!(recorder.to_csv(), out.text().as_bytes());
    }

    #[test]
    fn a_header_stands_alone_when_there_are_no_records() {
        let out = Shared::default();
        let mut recorder = Recorder::new(RecordForm::Csv, &[], Box::new(out.clone()));
        assert!(recorder.begin().unwrap());
        assert!(recorder.begin().unwrap());
        assert_eq!(out.text().lines().count(), 1);
        assert_eq!(recorder.last_as_json(), Value::Null);
    }

    #[test]
    fn json_lines_have_the_same_keys_in_the_same_order() {
        let out = Shared::default();
        let mut recorder = Recorder::new(RecordForm::Jsonl, &COLUMNS, Box::new(out.clone()));
        let mut record = sample();
        record.columns[0] = Some(f64::NAN);
        recorder.record(&record).unwrap();
        let text = out.text();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["seconds"], 0.1 + 0.2);
        assert!(value["heldout_perplexity"].is_null() && value["loglik_per_token"].is_null());
        assert_eq!(value["clock"], 3);
        assert_eq!(value["staleness_counts"], json!([5, 0, 1]));
        assert!(
            text.trim_end().ends_with("\"staleness_counts\":[5,0,1]}"),
            "{text}"
        );
        let names = header_positions(&text);
        assert!(names.is_sorted(), "{text}");
        assert_eq!(recorder.last_as_json(), value);
    }

    fn header_positions(text: &str) -> Vec<usize> {
        let columns: Vec<String> = COLUMNS.iter().map(|name| (*name).to_owned()).collect();
        let find = |name: &str| text.find(&format!("\"{name}\":")).unwrap();
        record::header(&columns).into_iter().map(find).collect()
    }

    #[test]
    fn floats_read_back_as_they_were() {
        for value in [
            0.1,
            1.0 / 3.0,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            -0.0,
            1e16,
            123456789.125,
        ] {
            let record = Record {
                objective: value,
                ..Record::default()
            };
            let text = record::cells(&record).nth(2).unwrap();
            assert_eq!(
                text.parse::<f64>().unwrap().to_bits(),
                value.to_bits(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_closed_pipe_is_told_quietly_and_the_records_are_kept() {
        let out = Box::new(Failing(ErrorKind::BrokenPipe));
        let mut recorder = Recorder::new(RecordForm::Csv, &COLUMNS, out);
        assert!(!recorder.record(&sample()).unwrap());
        assert!(!recorder.record(&sample()).unwrap());
        assert_eq!(recorder.records().len(), 2);
    }

    #[test]
    fn a_full_disk_is_an_error_with_its_status() {
        let out = Box::new(Failing(ErrorKind::StorageFull));
        let mut recorder = Recorder::new(RecordForm::Csv, &COLUMNS, out);
        assert_eq!(recorder.record(&sample()).unwrap_err().status(), 74);
    }

    #[test]
    fn a_silent_recorder_keeps_records_of_any_columns_after_those_of_an_earlier_run() {
        let mut recorder = Recorder::none();
        assert!(recorder.record(&sample()).unwrap());
        recorder.continue_from(vec![Record::default()]);
        assert_eq!(recorder.records(), [Record::default(), sample()]);
    }

    #[test]
    fn columns_that_do_not_fit_are_a_bug() {
        let mut recorder = Recorder::new(RecordForm::Csv, &[], Box::new(Vec::new()));
        assert_eq!(recorder.record(&sample()).unwrap_err().status(), 101);
    }
}
