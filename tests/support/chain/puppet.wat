;; A contract that does what its message says. Messages are JSON, which may begin with white space and be a number,
;; so the first byte chooses:
;;   {        the message itself is the answer (and so it is for anything that is not below)
;;   tab      ask the chain for the rest, keep the answer under "answer"
;;   newline  keep the rest under "contract_info"
;;   space    abort with the rest
;;   1        loop for ever      2  call itself for ever      3  take memory until there is no more, then trap
;; A reply is kept under "reply" and answered with the data "replied".
(module
  (import "env" "db_write" (func $db_write (param i32 i32)))
  (import "env" "query_chain" (func $query_chain (param i32) (result i32)))
  (import "env" "abort" (func $abort (param i32)))
  (memory (export "memory") 16)
  (global $free (mut i32) (i32.const 8192))

  ;; Regions: offset, capacity, length.
  (data (i32.const 100) "\c8\00\00\00\06\00\00\00\06\00\00\00")
  (data (i32.const 200) "answer")
  (data (i32.const 112) "\d2\00\00\00\05\00\00\00\05\00\00\00")
  (data (i32.const 210) "reply")
  (data (i32.const 124) "\dc\00\00\00\0d\00\00\00\0d\00\00\00")
  (data (i32.const 220) "contract_info")
  (data (i32.const 136) "\2c\01\00\00\32\00\00\00\32\00\00\00")
  (data (i32.const 300) "{\"ok\":{\"messages\":[],\"attributes\":[],\"events\":[]}}")
  (data (i32.const 148) "\90\01\00\00\48\00\00\00\48\00\00\00")
  (data (i32.const 400) "{\"ok\":{\"messages\":[],\"attributes\":[],\"events\":[],\"data\":\"cmVwbGllZA==\"}}")

  (func (export "interface_version_8"))
  (func (export "deallocate") (param i32))
  (func $allocate (export "allocate") (param $size i32) (result i32)
    (local $region i32)
    (local.set $region (global.get $free))
    (i32.store (local.get $region) (i32.add (local.get $region) (i32.const 12)))
    (i32.store offset=4 (local.get $region) (local.get $size))
    (i32.store offset=8 (local.get $region) (i32.const 0))
    (global.set $free
      (i32.and (i32.add (i32.add (local.get $region) (local.get $size)) (i32.const 19)) (i32.const -8)))
    (local.get $region))

  ;; A region over all but the first byte of another.
  (func $rest (param $region i32) (result i32)
    (local $new i32)
    (local.set $new (call $allocate (i32.const 0)))
    (i32.store (local.get $new) (i32.add (i32.load (local.get $region)) (i32.const 1)))
    (i32.store offset=4 (local.get $new) (i32.sub (i32.load offset=8 (local.get $region)) (i32.const 1)))
    (i32.store offset=8 (local.get $new) (i32.sub (i32.load offset=8 (local.get $region)) (i32.const 1)))
    (local.get $new))

  (func $deeper (param i32) (result i32)
    (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))

  (func $obey (param $message i32) (result i32)
    (local $verb i32)
    (local.set $verb (i32.load8_u (i32.load (local.get $message))))
    (if (i32.eq (local.get $verb) (i32.const 9)) ;; tab
      (then (call $db_write (i32.const 100) (call $query_chain (call $rest (local.get $message))))
            (return (i32.const 136))))
    (if (i32.eq (local.get $verb) (i32.const 10)) ;; newline
      (then (call $db_write (i32.const 124) (call $rest (local.get $message)))
            (return (i32.const 136))))
    (if (i32.eq (local.get $verb) (i32.const 32)) ;; space
      (then (call $abort (call $rest (local.get $message)))))
    (if (i32.eq (local.get $verb) (i32.const 49)) ;; 1
      (then (loop $for_ever (br $for_ever))))
    (if (i32.eq (local.get $verb) (i32.const 50)) ;; 2
      (then (drop (call $deeper (i32.const 0)))))
    (if (i32.eq (local.get $verb) (i32.const 51)) ;; 3
      (then (loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0))))
            (unreachable)))
    (local.get $message))

  (func (export "instantiate") (param i32 i32 i32) (result i32) (call $obey (local.get 2)))
  (func (export "execute") (param i32 i32 i32) (result i32) (call $obey (local.get 2)))
  (func (export "migrate") (param i32 i32) (result i32) (call $obey (local.get 1)))
  (func (export "query") (param i32 i32) (result i32) (call $obey (local.get 1)))
  (func (export "reply") (param i32 i32) (result i32)
    (call $db_write (i32.const 112) (local.get 1))
    (i32.const 148)))
