"""The engine: one tenant's live world, decided without input, output, clock or chance.

`floor.Floor` is the way in. An event and an instant go in; facts, commands and the reason for having
ignored something come out. Everything that the floor knows is the view that its own facts make.
"""
