"""Pictures of people: lines on an image in several styles, with names and legends that cover neither faces nor each other."""
