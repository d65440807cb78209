"""Drawing the block DAG: blocks in, cells or text out. Pure: no Textual, no clock, no files."""
