//! Man pages and completions, from the same definitions as the flags.

use std::fs;
use std::io::Write;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

use crate::error::{Error, Result};

/// The shells whose completions lie beside the man pages, under the names their users expect.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "petuum.bash"),
    (Shell::Fish, "petuum.fish"),
    (Shell::Zsh, "_petuum"),
];

/// All files of `man/`, as name and text: a page for `command` and every command below it that help
/// shows, and completions.
pub fn pages(command: Command) -> Result<Vec<(String, String)>> {
    let mut pages: Vec<(String, String)> = COMPLETIONS
        .iter()
        .map(|(shell, name)| {
            let script = completions(command.clone(), *shell);
            (
                name.to_string(),
                String::from_utf8_lossy(&script).into_owned(),
            )
        })
        .collect();
    let mut command = command.disable_help_subcommand(true);
    command.build();
    add_pages(&command, &mut pages)?;
    Ok(pages)
}

fn add_pages(command: &Command, pages: &mut Vec<(String, String)>) -> Result<()> {
    let version = concat!("petuum ", env!("CARGO_PKG_VERSION"));
    // A page that changed from day to day could not be compared with the committed one.
    let page = clap_mangen::Man::new(command.clone())
        .date("")
        .source(version)
        .manual("petuum");
    let mut text = Vec::new();
    page.render(&mut text)
        .map_err(|error| Error::Bug(error.to_string()))?;
    let text = with_sections(&String::from_utf8_lossy(&text));
    pages.push((page.get_filename(), text));
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        add_pages(below, pages)?;
    }
    Ok(())
}

/// Turns the paragraphs of the text behind a help into sections of their own, with their lines kept:
/// `Examples:` and what follows up to a blank line becomes the section EXAMPLES.
fn with_sections(page: &str) -> String {
    let Some((before, rest)) = page.split_once(".SH EXTRA\n") else {
        return page.to_owned();
    };
    let (extra, after) = rest.split_at(rest.find(".SH ").unwrap_or(rest.len()));
    let mut text = before.to_owned();
    for paragraph in extra.trim_end().split("\n\n") {
        match paragraph.split_once(":\n") {
            Some((title, lines)) => {
                let title = title.to_uppercase();
                text.push_str(&format!(".SH {title}\n.nf\n{lines}\n.fi\n"));
            }
            None => text.push_str(&format!(".SH SEE ALSO\n{paragraph}\n")),
        }
    }
    text + after
}

/// `petuum man DIR`.
pub(super) fn write_pages(command: Command, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::cannot_create(folder, error))?;
    for (name, text) in pages(command)? {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| Error::cannot_write(&path, error))?;
    }
    Ok(())
}

/// `petuum completions SHELL`.
pub(super) fn completions(mut command: Command, shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "petuum", &mut script);
    script
}

/// Writes to stdout; a reader that has gone away has read enough.
pub(super) fn show(stdout: &mut dyn Write, text: &[u8]) -> Result<()> {
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::cannot_write(Path::new("standard output"), error))
        }
        _ => Ok(()),
    }
}
