"""Films that nobody made, in two tastes."""

# id, title, year and genres
TITLES = [
    ("3", "The Reactor", "1983", "Sci-Fi Thriller"),
    ("8", "Reactor Nights", "1985", "Sci-Fi"),
    ("15", "2049: Égalité", "1968", "Sci-Fi Drama"),
    ("16", "<img src=x onerror=alert(1)> & \"Sons\"", "1999", "Comedy"),
    ("23", "Don't Wait", "", "Comedy Romance"),
    ("42", "A Very Long Title That Goes On and On Until No Phone Is Wide Enough", "1994", "Romance"),
]  # fmt: skip

# Who likes one of the first three likes the others, and so with the last three.
SPACE, LOVE = (3, 8, 15), (16, 23, 42)
