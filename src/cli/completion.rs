//! `bellwether completion SHELL`: a script that completes commands and flags.

use clap::{Args, Command, ValueEnum};

#[derive(Args)]
pub(super) struct Options {
    /// Shell that runs the script.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(command: Command, options: &Options) -> anyhow::Result<()> {
    print!("{}", script(command, options.shell)?);
    Ok(())
}

fn script(mut command: Command, shell: Shell) -> anyhow::Result<String> {
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut command, name, &mut script);
    Ok(String::from_utf8(script)?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn scripts_complete_commands_and_flags_of_each_shell() {
        for (shell, begins) in [
            (Shell::Bash, "_bellwether() {"),
            (Shell::Zsh, "#compdef bellwether"),
            (Shell::Fish, "# Print an optspec"),
        ] {
            let script = script(Cli::command(), shell).unwrap();
            assert!(script.starts_with(begins), "{}", &script[..80]);
            for word in ["acknowledge", "web.listen-address"] {
                assert!(script.contains(word), "{begins}: {word}");
            }
        }
    }
}
