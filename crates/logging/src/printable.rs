//! Characters that a terminal obeys or that a reader does not see. Texts of others may have them.

/// Returns whether a character moves the cursor, begins a line or changes the direction of text.
pub fn controls_text(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Returns whether a character has no width. Some scripts need those that join letters or keep them apart.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
    )
}
