//! A finished model, read back.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::tensor::{Tensor, read_tensors};
use super::{DESCRIPTION, DONE, TENSORS};
use crate::error::{Error, Result};

/// A model that a run has finished.
#[derive(Debug)]
pub struct SavedModel {
    folder: PathBuf,
    description: Map<String, Value>,
}

impl SavedModel {
    /// Opens the model in `folder`. Status 66 if there is none or it was never finished, 65 if its
    /// `model.json` is not what petuum writes.
    pub fn open(folder: &Path) -> Result<SavedModel> {
        if !folder.is_dir() {
            return Err(Error::no_input(folder, "no such model folder"));
        }
        if !folder.join(DONE).is_file() {
            return Err(Error::no_input(
                folder,
                "not a finished model: there is no DONE in it",
            ));
        }
        let path = folder.join(DESCRIPTION);
        let text = fs::read(&path).map_err(|error| Error::no_input(&path, error))?;
        let description = serde_json::from_slice(&text).map_err(|error| {
            let (line, column) = (error.line() as u64, error.column() as u64);
            Error::data(
                &path,
                line,
                column,
                format!("expected a JSON object: {error}"),
            )
        })?;
        Ok(SavedModel {
            folder: folder.to_path_buf(),
            description,
        })
    }

    /// The program that made the model.
    pub fn program(&self) -> Result<&str> {
        self.json("program")?
            .as_str()
            .ok_or_else(|| self.lacks("program"))
    }

    /// The value of a key of `model.json`. Status 65 if there is none.
    pub fn json(&self, key: &str) -> Result<&Value> {
        self.description.get(key).ok_or_else(|| self.lacks(key))
    }

    /// The tensors of `model.safetensors`.
    pub fn tensors(&self) -> Result<Vec<Tensor>> {
        read_tensors(&self.folder.join(TENSORS))
    }

    /// Where a further file of the model lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn lacks(&self, key: &str) -> Error {
        let path = self.folder.join(DESCRIPTION);
        Error::data(&path, 0, 0, format!("expected a key `{key}`"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::{Model, RECORDS};
    use super::*;
    use crate::report::{Record, Recorder};

    fn save(folder: &Path, force: bool, extra: Option<&str>) -> Result<()> {
        let mut model = Model::create(folder, force)?;
        model.tensors(vec![Tensor::new("x", &[2], &[1.0f64, 2.0])]);
        model.describe(&serde_json::json!({"program": "lda"}))?;
        let mut recorder = Recorder::none();
        recorder.record(&Record::default())?;
        model.records(&recorder)?;
        if let Some(name) = extra {
            model.file(name)?.write_all(b"text").unwrap();
        }
        model.finish()
    }

    fn names(folder: &Path) -> Vec<String> {
        super::super::file::names(folder).unwrap()
    }

    #[test]
    fn a_model_reads_back() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("deep/er/model");
        save(&folder, false, Some("topics.txt")).unwrap();
        let saved = SavedModel::open(&folder).unwrap();
        assert_eq!(saved.program().unwrap(), "lda");
        assert_eq!(
            saved.tensors().unwrap()[0].values::<f64>().unwrap(),
            [1.0, 2.0]
        );
        assert_eq!(saved.json("record").unwrap()["clock"], 0);
        let records = fs::read_to_string(saved.path(RECORDS)).unwrap();
        assert_eq!(records.lines().count(), 2);
        assert_eq!(saved.json("nothing").unwrap_err().status(), 65);
        assert_eq!(
            names(&folder),
            [DONE, DESCRIPTION, TENSORS, RECORDS, "topics.txt"]
        );
        assert_eq!(
            names(folder.parent().unwrap()),
            ["model"],
            "no rubbish beside"
        );
    }

    #[test]
    fn a_folder_with_anything_in_it_is_refused_before_the_run() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("thesis.tex"), "").unwrap();
        let error = Model::create(home.path(), false).err().unwrap();
        assert_eq!(error.status(), 73);
        assert!(error.to_string().contains("--force"), "{error}");
        assert_eq!(names(home.path()), ["thesis.tex"]);
        let file = home.path().join("thesis.tex");
        assert_eq!(Model::create(&file, true).err().unwrap().status(), 73);
        assert_eq!(
            Model::create(&file.join("x"), true).err().unwrap().status(),
            73
        );
    }

    #[test]
    fn an_empty_folder_is_used_itself() {
        let home = tempfile::tempdir().unwrap();
        save(home.path(), false, None).unwrap();
        SavedModel::open(home.path()).unwrap();
        assert_eq!(names(home.path()), [DONE, DESCRIPTION, TENSORS, RECORDS]);
    }

    #[test]
    fn force_replaces_the_model_and_keeps_what_is_not_its_own() {
        let home = tempfile::tempdir().unwrap();
        save(home.path(), false, Some("coefficients.csv")).unwrap();
        fs::write(home.path().join("thesis.tex"), "").unwrap();
        save(home.path(), true, Some("topics.txt")).unwrap();
        SavedModel::open(home.path()).unwrap();
        assert_eq!(
            names(home.path()),
            [
                DONE,
                DESCRIPTION,
                TENSORS,
                RECORDS,
                "thesis.tex",
                "topics.txt"
            ]
        );
    }

    #[test]
    fn an_abandoned_model_leaves_nothing_and_spoils_nothing() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/b/model");
        let mut model = Model::create(&folder, false).unwrap();
        model
            .file("topics.txt")
            .unwrap()
            .write_all(b"half")
            .unwrap();
        drop(model);
        assert!(names(home.path()).is_empty(), "{:?}", names(home.path()));

        save(&folder, false, None).unwrap();
        let before = names(&folder);
        drop(Model::create(&folder, true).unwrap());
        assert_eq!(names(&folder), before);
        SavedModel::open(&folder).unwrap();
    }

    #[test]
    fn two_runs_do_not_write_one_model_but_rubbish_of_a_killed_run_is_swept() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("model");
        let first = Model::create(&folder, false).unwrap();
        let error = Model::create(&folder, false).err().unwrap();
        assert!(error.to_string().contains("another run"), "{error}");
        drop(first);
        fs::create_dir(home.path().join(".model.partial")).unwrap();
        fs::write(home.path().join(".model.partial/half"), "").unwrap();
        save(&folder, false, None).unwrap();
        assert_eq!(names(home.path()), ["model"]);
    }

    #[test]
    fn an_unfinished_or_foreign_folder_is_no_model() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(SavedModel::open(home.path()).unwrap_err().status(), 66);
        assert_eq!(
            SavedModel::open(&home.path().join("x"))
                .unwrap_err()
                .status(),
            66
        );
        fs::write(home.path().join(DONE), "").unwrap();
        fs::write(home.path().join(DESCRIPTION), "{\n  oops").unwrap();
        let error = SavedModel::open(home.path()).unwrap_err();
        assert_eq!(error.status(), 65);
        assert!(error.to_string().contains("model.json:2:3"), "{error}");
    }

    #[test]
    fn an_error_while_writing_a_file_comes_up_at_the_end() {
        let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
            return;
        };
        drop(full);
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("model");
        let mut model = Model::create(&folder, false).unwrap();
        std::os::unix::fs::symlink("/dev/full", home.path().join(".model.partial/topics.txt"))
            .unwrap();
        let mut file = model.file("topics.txt").unwrap();
        let _ = file.write_all(b"lost");
        drop(file);
        assert_eq!(model.finish().unwrap_err().status(), 74);
        assert!(names(home.path()).is_empty());
    }

    #[test]
    fn a_file_outside_the_folder_is_a_bug() {
        let home = tempfile::tempdir().unwrap();
        let mut model = Model::create(&home.path().join("m"), false).unwrap();
        for name in ["../x", "a/b", "", "..", DONE, TENSORS] {
            assert_eq!(model.file(name).err().unwrap().status(), 101, "{name}");
        }
    }
}
