"""What a project's own files say of how it is deployed, and the study file that follows.

A reader is a pure function from the texts of a folder to clues, each with the file and the
line that it came from; one tuple lists them all. From the clues follows a proposal: what
stands in labcoat.toml, and what has to be asked because the project does not say it, or says
it twice.

Refuses: importing or starting anything of the user's (code is read as syntax), writing
anything but a labcoat.toml that is not there yet, and copying what may be a secret. May
import the lab's study room and what reads the languages of configuration files.
"""
