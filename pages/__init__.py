"""The shared page kit: lists, forms, answers as HTML and JSON, the shell. Knows no room."""
