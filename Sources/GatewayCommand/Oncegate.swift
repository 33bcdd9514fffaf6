@main struct Oncegate { static func main() {} }
