"""What is measured, and where it goes.

`arms` times things side by side, `memory` counts bytes, `report` keeps a benchmark's figures, `plot` draws them,
`provenance` says where they come from, and `readmes` writes them into the READMEs.
"""
