//! Command lines as a shell reads them, as far as the pages need it.

/// The commands of a line, each as its words: `a 'b c' | d > file` has two.
pub fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (Some('"') | None, '\\') => {
                if let Some(next) = rest.next().filter(|next| *next != '\n') {
                    word.get_or_insert_default().push(next);
                }
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '&' | ';') => {
                end_word(&mut commands, &mut word);
                if commands.last().is_some_and(|words| !words.is_empty()) {
                    commands.push(Vec::new());
                }
            }
            (None, '>' | '<') => {
                end_word(&mut commands, &mut word);
                // The file is not an argument.
                while rest.next_if(|next| next.is_whitespace()).is_some() {}
                while rest.next_if(|next| !next.is_whitespace()).is_some() {}
            }
            (None, c) if c.is_whitespace() => end_word(&mut commands, &mut word),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    end_word(&mut commands, &mut word);
    commands.retain(|words| !words.is_empty());
    commands
}

fn end_word(commands: &mut [Vec<String>], word: &mut Option<String>) {
    if let (Some(words), Some(word)) = (commands.last_mut(), word.take()) {
        words.push(word);
    }
}

/// Returns whether a line goes on in the next one: it ends with a backslash or within quotes.
pub fn goes_on(line: &str) -> bool {
    let mut quote = None;
    let mut before = ' ';
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (Some('"') | None, '\\') if rest.next().is_none() => return true,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if before.is_whitespace() => return false,
            _ => {}
        }
        before = c;
    }
    quote.is_some()
}

/// The problem that Bellwether's own command line has with these words, after the program's name.
pub fn problem(words: &[String], is_mention: bool) -> Option<String> {
    use clap::error::ErrorKind;
    let error = bellwether::cli::command_line()
        .try_get_matches_from(words)
        .err()
        .filter(clap::Error::use_stderr)?;
    // A text says `bellwether route --at` or `bellwether explain RULE --at TIME` of what a command can do.
    let is_complete = match error.kind() {
        ErrorKind::MissingRequiredArgument
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::MissingSubcommand => true,
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => words
            .last()
            .is_some_and(|word| word.starts_with('-') || is_stand_in(word)),
        ErrorKind::InvalidSubcommand => words.get(1).is_some_and(|word| is_stand_in(word)),
        _ => false,
    };
    (!is_mention || !is_complete).then(|| error.to_string())
}

/// Returns whether a word stands for another: `RULE`, `FILE...`.
fn is_stand_in(word: &str) -> bool {
    word.len() > 1
        && word
            .chars()
            .all(|c| c.is_ascii_uppercase() || "_.".contains(c))
}
