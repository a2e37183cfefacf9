package openai

// readEmbeddings takes the model and the usage: the vectors are large, and nobody reads them.
func (a *Assembler) readEmbeddings(event *Event) error {
	var answer head
	if err := decode(event, &answer); err != nil {
		return err
	}
	a.addHead(&answer, event)
	return nil
}
