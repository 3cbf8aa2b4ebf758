pub fn parse_retry_after(
    _: &str,
    _: Option<&str>,
    _: crate::model::Wall,
) -> Option<std::time::Duration> {
    None
}
