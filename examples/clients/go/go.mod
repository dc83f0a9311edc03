module example.com/submitter

go 1.24

require xisuan v0.0.0

replace xisuan => ./xisuan
