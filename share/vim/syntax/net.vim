" Vim syntax of netc's .net files.
if exists("b:current_syntax")
  finish
endif
syn keyword netSection network block train phase import
syn keyword netStatement input weights freeze unfreeze from by name order loss optimizer metrics batch epochs validation
syn keyword netStatement split stratified seed shuffle cache memory class_weight silence require up to all but
syn keyword netControl for in if else and or not
syn keyword netConstant true false none same valid
syn match netShape "\<\d\+\(x\d\+\)\+\>"
syn match netNumber "\<\d\+\(\.\d\+\)\?\(e[-+]\?\d\+\)\?\>"
syn match netCall "\<\h\w*\ze\s*("
syn match netArrow "->"
syn region netInterpolation start="{" end="}" contained
syn region netString start=+"+ skip=+\\"+ end=+"+ contains=netInterpolation
syn match netComment "#.*$"
hi def link netSection Structure
hi def link netStatement Statement
hi def link netControl Conditional
hi def link netConstant Constant
hi def link netShape Number
hi def link netNumber Number
hi def link netCall Function
hi def link netArrow Operator
hi def link netString String
hi def link netInterpolation Special
hi def link netComment Comment
let b:current_syntax = "net"
